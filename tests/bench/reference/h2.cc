// The bare HTTP/2 reference: nghttp2's session, one read and one write a turn.
#include <nghttp2/nghttp2.h>

#include <array>
#include <cstring>

#include "tests/bench/reference/server.h"

namespace bw::bench {
namespace {

constexpr size_t kGather = 64 << 10;

std::array<char, 64 << 10> input;
std::string gathered;

struct Stream {
  const Answer* answer = nullptr;
  size_t offset = 0;
  std::string path;
};

class H2Peer final : public Peer {
 public:
  H2Peer(event_base* base, int socket, SSL* ssl) : Peer(base, socket, ssl) {
    static nghttp2_session_callbacks* const callbacks = make_callbacks();
    nghttp2_session_server_new(&session_, callbacks, this);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1024}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 1);
  }
  ~H2Peer() override { nghttp2_session_del(session_); }

  bool readable() override {
    do {
      const int64_t got = transport_.read(input.data(), input.size());
      if (got < 0) return transport_.blocked && write_all();
      if (nghttp2_session_mem_recv(session_, reinterpret_cast<uint8_t*>(input.data()),
                                   static_cast<size_t>(got)) < 0) {
        return false;
      }
    } while (transport_.tls());
    return write_all();
  }
  bool writable() override { return write_all(); }

 private:
  bool write_all() {
    while (true) {
      std::string& out = left_.empty() ? gathered : left_;
      if (left_.empty()) {
        gathered.clear();
        while (gathered.size() < kGather) {
          const uint8_t* data = nullptr;
          const ssize_t size = nghttp2_session_mem_send(session_, &data);
          if (size < 0) return false;
          if (size == 0) break;
          gathered.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
        }
        if (gathered.empty()) {
          want_write(false);
          return nghttp2_session_want_read(session_) != 0;
        }
      }
      size_t sent = 0;
      while (sent < out.size()) {
        const int64_t took = transport_.write(out.data() + sent, out.size() - sent);
        if (took < 0) {
          left_ = out.substr(sent);
          want_write(transport_.blocked);
          return transport_.blocked;
        }
        sent += static_cast<size_t>(took);
      }
      left_.clear();
    }
  }

  static int on_begin(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, new Stream);
    return 0;
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t, void*) {
    if (name_size == 5 && std::memcmp(name, ":path", 5) == 0) {
      auto* stream =
          static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
      stream->path.assign(reinterpret_cast<const char*>(value), value_size);
    }
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
      return 0;
    }
    auto* stream =
        static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    stream->answer = &answer_of(stream->path);
    const std::string length = std::to_string(stream->answer->bytes.size() - stream->answer->head);
    const std::string_view date =
        std::string_view(stream->answer->bytes).substr(sizeof("HTTP/1.1 200 OK\r\nDate: ") - 1, 29);
    const auto field = [](std::string_view name, std::string_view value) {
      return nghttp2_nv{const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(name.data())),
                        const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(value.data())),
                        name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
    };
    const nghttp2_nv fields[] = {field(":status", "200"), field("date", date),
                                 field("content-type", "application/octet-stream"),
                                 field("cache-control", "public, max-age=86400"),
                                 field("content-length", length)};
    nghttp2_data_provider body{};
    body.source.ptr = stream;
    body.read_callback = [](nghttp2_session*, int32_t, uint8_t* out, size_t size, uint32_t* flags,
                            nghttp2_data_source* source, void*) -> ssize_t {
      auto* reading = static_cast<Stream*>(source->ptr);
      const Answer& answer = *reading->answer;
      const size_t left = answer.bytes.size() - answer.head - reading->offset;
      const size_t piece = size < left ? size : left;
      std::memcpy(out, answer.bytes.data() + answer.head + reading->offset, piece);
      reading->offset += piece;
      if (piece == left) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return static_cast<ssize_t>(piece);
    };
    return nghttp2_submit_response(session, frame->hd.stream_id, fields, std::size(fields), &body);
  }

  static int on_close(nghttp2_session* session, int32_t id, uint32_t, void*) {
    delete static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
    return 0;
  }

  static nghttp2_session_callbacks* make_callbacks() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    return callbacks;
  }

  nghttp2_session* session_ = nullptr;
  std::string left_;  // what the kernel didn't take
};

}  // namespace
}  // namespace bw::bench

int main(int count, char** arguments) {
  return bw::bench::serve(bw::bench::parse_server_options(count, arguments), true,
                          [](event_base* base, int socket, SSL* ssl) -> bw::bench::Peer* {
                            return new bw::bench::H2Peer(base, socket, ssl);
                          });
}
