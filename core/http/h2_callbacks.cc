#include "core/http/h2_callbacks.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <vector>

#include "core/http/h2_session.h"

namespace bw::http {
namespace {

// A larger piece of a body is pinned instead of copied beside its frame's header.
constexpr size_t kCopyAtMost = 4096;
constexpr size_t kFrameHeader = 9;

std::string_view text(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}
uint8_t* lent(std::string_view bytes) {
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(bytes.data()));
}

const std::vector<nghttp2_nv>& name_values(const FieldList& fields, uint8_t flags) {
  thread_local std::vector<nghttp2_nv> list;
  list.clear();
  for (Field field : fields) {
    list.push_back(
        {lent(field.name), lent(field.value), field.name.size(), field.value.size(), flags});
  }
  return list;
}
constexpr uint8_t kLent = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;

}  // namespace

struct H2Callbacks {
  static H2Stream* stream_of(nghttp2_session* session, int32_t id) {
    return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }
  static H2Session& self(void* user) { return *static_cast<H2Session*>(user); }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Session& s = self(user);
    s.header_bytes_ = 0;
    s.header_stream_ = nullptr;
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    H2Stream* stream = nullptr;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      stream = s.owner_.on_stream_begin();
      if (stream == nullptr) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_REFUSED_STREAM);
        return 0;
      }
      stream->id_ = frame->hd.stream_id;
      nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    } else {
      stream = stream_of(session, frame->hd.stream_id);
    }
    s.header_stream_ = stream;
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    H2Session& s = self(user);
    if (s.header_stream_ == nullptr || s.header_stream_->reset_) return 0;
    // The stream answers a list that is too large; far beyond that nobody listens any more.
    s.header_bytes_ += name_size + value_size + 32;
    if (s.header_bytes_ > 8 * s.limits_.max_header_list) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    s.header_stream_->on_field(text(name, name_size), text(value, value_size));
    return 0;
  }

  // Refused instead of passed over: what we don't see, a server behind us might.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t,
                               const uint8_t*, size_t, uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* hd, void* user) {
    H2Session& s = self(user);
    if ((hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION) &&
        (hd->flags & NGHTTP2_FLAG_END_HEADERS) == 0) {
      if (s.header_since_ == MonoTime{}) s.header_since_ = s.loop_.now();
    } else {
      s.header_since_ = {};
    }
    bool calm = true;
    if (hd->type == NGHTTP2_PRIORITY) calm = s.count(H2Session::Flood::priority);
    if (hd->type == NGHTTP2_DATA && hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0) {
      calm = s.count(H2Session::Flood::empty_data);
    }
    return calm && !s.quit_ ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int on_frame_recv(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Session& s = self(user);
    bool calm = true;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (H2Stream* stream = std::exchange(s.header_stream_, nullptr)) {
          const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
          stream->last_in_ = s.loop_.now();
          if (!stream->reset_) stream->on_fields_end(end);
          if (end && !stream->closed_) s.end_input(*stream);
        }
        break;
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
          if (H2Stream* stream = stream_of(session, frame->hd.stream_id)) s.end_input(*stream);
        }
        break;
      case NGHTTP2_RST_STREAM:
        calm = s.count(H2Session::Flood::resets);
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
          s.owner_.on_ping_answered();
        } else {
          calm = s.count(H2Session::Flood::pings);
        }
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
          calm = s.count(H2Session::Flood::settings);
          s.owner_.on_settings();
        }
        break;
      case NGHTTP2_GOAWAY:
        s.owner_.on_goaway();
        break;
      default:
        break;
    }
    return calm && !s.quit_ ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                     size_t size, void* user) {
    H2Session& s = self(user);
    H2Stream* stream = stream_of(session, id);
    if (stream == nullptr) {
      nghttp2_session_consume(session, id, size);
    } else {
      s.take_input(*stream, text(bytes, size));
    }
    return s.quit_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int on_stream_close(nghttp2_session* session, int32_t id, uint32_t code, void* user) {
    if (H2Stream* stream = stream_of(session, id)) self(user).on_closed(*stream, code);
    return 0;
  }

  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    return self(user).count(H2Session::Flood::faults) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    H2Session& s = self(user);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
      // Resets that the peer provokes cost as much as its own.
      if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != 0 &&
          frame->rst_stream.error_code != NGHTTP2_CANCEL &&
          frame->rst_stream.error_code != NGHTTP2_INTERNAL_ERROR &&
          !s.count(H2Session::Flood::resets)) {
        nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
      }
      return 0;
    }
    H2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->bytes_out_ += frame->hd.length + kFrameHeader;
    stream->last_out_ = s.loop_.now();
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      stream->out_made_ = true;
      if (s.limits_.server) {
        s.unsent_.push_back({.offset = s.written_ + s.scratch_.size(), .stream = stream});
      }
    }
    return 0;
  }

  static int on_frame_not_send(nghttp2_session* session, const nghttp2_frame* frame, int,
                               void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || !self(user).limits_.server) return 0;
    if (H2Stream* stream = stream_of(session, frame->hd.stream_id)) {
      self(user).reset(*stream, H2Code::internal_error);
    }
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t*, size_t size,
                           uint32_t* flags, nghttp2_data_source* source, void*) {
    H2Stream& stream = *static_cast<H2Stream*>(source->ptr);
    if (stream.body_held_ || (stream.queued_ == 0 && !stream.out_ended_)) {
      stream.starved_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    const size_t n = std::min(size, stream.queued_);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream.out_ended_ && n == stream.queued_) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!stream.trailers_.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto& list = name_values(stream.trailers_, kLent);
        nghttp2_submit_trailer(session, id, list.data(), list.size());
      }
    }
    return static_cast<ssize_t>(n);
  }

  static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* header, size_t length,
                       nghttp2_data_source* source, void* user) {
    H2Session& s = self(user);
    H2Stream& stream = *static_cast<H2Stream*>(source->ptr);
    if (s.full()) return NGHTTP2_ERR_WOULDBLOCK;
    if (stream.queued_ < length) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // dropped meanwhile
    s.scratch_.append(reinterpret_cast<const char*>(header), kFrameHeader);
    (void)frame;  // never padded: no callback asks for padding
    while (length > 0) {
      Slice& front = stream.queue_[stream.queue_first_];
      const size_t n = std::min(length, front.size());
      if (n <= kCopyAtMost) {
        s.scratch_.append(front.data(), n);
      } else {
        s.write_scratch();
        s.written_ += n;
        s.connection_.write(front.part(0, n));
      }
      length -= n;
      stream.queued_ -= n;
      front.remove_prefix(n);
      if (!front.empty()) continue;
      front = Slice();
      if (++stream.queue_first_ == stream.queue_.size()) {
        stream.queue_.clear();
        stream.queue_first_ = 0;
      } else if (stream.queue_first_ > 64) {
        stream.queue_.erase(stream.queue_.begin(),
                            stream.queue_.begin() + static_cast<ptrdiff_t>(stream.queue_first_));
        stream.queue_first_ = 0;
      }
    }
    s.on_consumed(stream);
    return 0;
  }

  static bool submit(nghttp2_session* session, H2Session&, H2Stream& stream, bool server,
                     bool with_body) {
    const auto& list = name_values(stream.out_head_, kLent);
    nghttp2_data_provider body{};
    body.source.ptr = &stream;
    body.read_callback = read_body;
    nghttp2_data_provider* const provider = with_body ? &body : nullptr;
    if (server) {
      return nghttp2_submit_response(session, stream.id_, list.data(), list.size(), provider) == 0;
    }
    const int32_t id =
        nghttp2_submit_request(session, nullptr, list.data(), list.size(), provider, &stream);
    if (id <= 0) return false;
    stream.id_ = id;
    return true;
  }

  static const nghttp2_session_callbacks* table() {
    static const nghttp2_session_callbacks* const made = [] {
      nghttp2_session_callbacks* c = nullptr;
      if (nghttp2_session_callbacks_new(&c) != 0) return c;
      nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(c, on_header);
      nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
      nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
      nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
      nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
      nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
      nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_send);
      nghttp2_session_callbacks_set_send_data_callback(c, send_data);
      return c;
    }();
    return made;
  }
};

nghttp2_session* make_nghttp2_session(H2Session& owner, bool server) {
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) return nullptr;
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, 256 * 1024);
  nghttp2_session* session = nullptr;
  if (server) {
    nghttp2_session_server_new2(&session, H2Callbacks::table(), &owner, option);
  } else {
    nghttp2_session_client_new2(&session, H2Callbacks::table(), &owner, option);
  }
  nghttp2_option_del(option);
  return session;
}

bool submit_head(nghttp2_session* session, H2Session& owner, H2Stream& stream, bool server,
                 bool with_body) {
  return H2Callbacks::submit(session, owner, stream, server, with_body);
}

void H2Session::send_informational(H2Stream& stream, const FieldList& fields) {
  if (stream.closed_ || stream.reset_ || quit_) return;
  const auto& list = name_values(fields, NGHTTP2_NV_FLAG_NONE);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, list.data(), list.size(),
                         nullptr);
  schedule();
}

}  // namespace bw::http
