// HTTP/2 with frames of our own and nghttp2's HPACK decoder: far cheaper than any server it loads.
#include <nghttp2/nghttp2.h>

#include <array>
#include <cstring>

#include "tests/bench/load/h2_frames.h"
#include "tests/bench/load/session.h"

namespace bw::bench {
namespace {

constexpr uint32_t kSlots = 4096;  // streams by number; a slow one may be this far behind
constexpr uint32_t kMaxFrame = 16384;
constexpr uint32_t kWindow = 0x7fffffff;

class H2Session final : public Session {
 public:
  explicit H2Session(Tally& tally)
      : tally_(tally),
        blocks_(tally.options.tls, tally.options.authority, !tally.urls.many()),
        streams_(kSlots) {
    nghttp2_hd_inflate_new(&inflater_);
  }
  ~H2Session() override { nghttp2_hd_inflate_del(inflater_); }

  void begin(std::string& out) override {
    out += "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    put_frame_head(out, 12, kSettings, 0, 0);
    out.append("\0\2\0\0\0\0\0\4", 8);  // no push; the streams' window:
    put32(out, kWindow);
    put_frame_head(out, 4, kWindowUpdate, 0, 0);
    put32(out, kWindow - 65535);
  }

  uint32_t room() const override {
    const uint32_t most = std::min(tally_.options.depth, server_streams_);
    return open_ < most && !streams_[next_ / 2 % kSlots].open ? most - open_ : 0;
  }

  void request(const Request& request, std::string& out) override {
    streams_[next_ / 2 % kSlots] = {request, next_, 0, true, false, false, nullptr};
    blocks_.put(out, next_, tally_.urls.path(request.object));
    next_ += 2;
    ++open_;
  }

  const char* receive(const char* data, size_t size, std::string& out) override {
    while (size > 0) {
      size_t used = 0;
      if (left_ > 0) {
        used = std::min<size_t>(left_, size);
        if (const char* fault = piece(data, used)) return fault;
      } else if (partial_.empty()) {
        const size_t whole = needed(data, size);
        if (whole == 0 || whole > size) {
          partial_.assign(data, size);
          return whole > kMaxFrame + kFrameHead ? "a frame too large" : nullptr;
        }
        used = whole;
        if (const char* fault = frame(data, whole, out)) return fault;
      } else {
        const size_t whole = needed(partial_.data(), partial_.size());
        const size_t wanted = whole == 0 ? kFrameHead : whole;
        if (wanted > partial_.size()) {
          used = std::min(size, wanted - partial_.size());
          partial_.append(data, used);
        }
        const size_t now = needed(partial_.data(), partial_.size());
        if (now > kMaxFrame + kFrameHead) return "a frame too large";
        if (now != 0 && now <= partial_.size()) {
          const std::string taken = std::move(partial_);
          partial_.clear();
          if (const char* fault = frame(taken.data(), now, out)) return fault;
        }
      }
      data += used;
      size -= used;
    }
    if (consumed_ > kWindow / 4) {
      put_frame_head(out, 4, kWindowUpdate, 0, 0);
      put32(out, consumed_);
      consumed_ = 0;
    }
    return nullptr;
  }

 private:
  struct Stream {
    Request request;
    uint32_t id = 0;
    uint64_t got = 0;
    bool open = false, head = false, sampled = false;
    std::unique_ptr<Proof> proof;
  };

  // Bytes that must be here before a frame is looked at: its head only for DATA. 0: not known yet.
  static size_t needed(const char* data, size_t size) {
    if (size < kFrameHead) return 0;
    return data[3] == kData ? kFrameHead : kFrameHead + (read32(data) >> 8);
  }

  Stream* find(uint32_t id) {
    Stream& stream = streams_[id / 2 % kSlots];
    return stream.open && stream.id == id ? &stream : nullptr;
  }

  const char* frame(const char* data, size_t size, std::string& out) {
    const auto flags = static_cast<uint8_t>(data[4]);
    const uint32_t id = read32(data + 5) & kWindow;
    const std::string_view payload(data + kFrameHead, size - kFrameHead);
    switch (data[3]) {
      case kData:
        return open_data(read32(data) >> 8, flags, id);
      case kHeaders:
        return headers(payload, flags, id);
      case kSettings:
        return (flags & kAck) != 0 ? nullptr : settings(payload, out);
      case kPing:
        if ((flags & kAck) == 0) {
          put_frame_head(out, payload.size(), kPing, kAck, 0);
          out += payload;
        }
        return nullptr;
      case kReset:
        return "a stream was reset";
      case kGoAway:
        return "the server said GOAWAY";
      case kPushPromise:
        return "a push";
      case kContinuation:
        return "a header block longer than a frame";
      default:
        return nullptr;
    }
  }

  const char* settings(std::string_view payload, std::string& out) {
    for (; payload.size() >= 6; payload.remove_prefix(6)) {
      const uint32_t value = read32(payload.data() + 2);
      if (payload[1] == 3) server_streams_ = value;
      if (payload[1] == 1 && value < 4096) return "a header table smaller than the default";
    }
    if (server_streams_ < tally_.options.depth) return "fewer streams allowed than are wanted";
    put_frame_head(out, 0, kSettings, kAck, 0);
    return nullptr;
  }

  const char* headers(std::string_view block, uint8_t flags, uint32_t id) {
    Stream* stream = find(id);
    if (stream == nullptr) return "an answer that nobody asked for";
    if ((flags & kEndHeaders) == 0 || (flags & kPadded) != 0) return "a padded or cut header block";
    if ((flags & kWithPriority) != 0) block.remove_prefix(std::min<size_t>(5, block.size()));
    // The same bytes under the same table are the same fields.
    if (block != known_ || !known_holds_) {
      known_holds_ = !changes_table(block);
      known_ = block;
      if (const char* fault = decode(block)) return fault;
    }
    const std::string_view path = tally_.urls.path(stream->request.object);
    if (length_ != 0 && length_ != length_of(path)) return "another Content-Length";
    stream->head = true;
    stream->sampled = tally_.sampled();
    if (stream->sampled) {
      stream->proof = std::make_unique<Proof>();
      stream->proof->begin(path);
    }
    return (flags & kEndStream) != 0 ? finish(*stream) : nullptr;
  }

  const char* decode(std::string_view block) {
    bool good = false;
    length_ = 0;
    const auto* at = reinterpret_cast<const uint8_t*>(block.data());
    size_t left = block.size();
    while (true) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t took = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, at, left, 1);
      if (took < 0) return "HPACK that doesn't decode";
      at += took;
      left -= static_cast<size_t>(took);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        const std::string_view name(reinterpret_cast<const char*>(field.name), field.namelen);
        const std::string value(reinterpret_cast<const char*>(field.value), field.valuelen);
        if (name == ":status") good = value == "200";
        if (name == "content-length") length_ = std::strtoull(value.c_str(), nullptr, 10);
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) return "HPACK that doesn't end";
    }
    nghttp2_hd_inflate_end_headers(inflater_);
    return good ? nullptr : "a status that isn't 200";
  }

  const char* open_data(uint32_t length, uint8_t flags, uint32_t id) {
    reading_ = find(id);
    if (reading_ == nullptr || !reading_->head) return "data of no stream";
    if ((flags & kPadded) != 0) return "padded data";
    if (length > kMaxFrame) return "a frame too large";
    left_ = length;
    ends_ = (flags & kEndStream) != 0;
    consumed_ += length;
    return length == 0 ? piece(nullptr, 0) : nullptr;
  }

  const char* piece(const char* data, size_t size) {
    Stream& stream = *reading_;
    if (stream.sampled && !stream.proof->holds(data, size)) return "another body";
    stream.got += size;
    tally_.bytes += size;
    left_ -= static_cast<uint32_t>(size);
    return left_ == 0 && ends_ ? finish(stream) : nullptr;
  }

  const char* finish(Stream& stream) {
    if (stream.got != length_of(tally_.urls.path(stream.request.object))) return "another length";
    tally_.compared += stream.sampled;
    stream.open = false;
    stream.proof.reset();
    --open_;
    tally_.done(stream.request);
    return nullptr;
  }

  Tally& tally_;
  RequestBlocks blocks_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::vector<Stream> streams_;
  uint32_t next_ = 1, open_ = 0;
  uint32_t server_streams_ = 100;  // until it says otherwise
  std::string partial_;            // a frame cut by a read
  std::string known_;              // the last header block, and
  bool known_holds_ = false;       // whether its bytes mean the same the next time
  uint64_t length_ = 0;            // what it said
  Stream* reading_ = nullptr;      // of the DATA frame that goes on
  uint32_t left_ = 0;
  bool ends_ = false;
  uint32_t consumed_ = 0;
};

}  // namespace

std::unique_ptr<Session> make_h2_session(Tally& tally) {
  return std::make_unique<H2Session>(tally);
}

}  // namespace bw::bench
