// HTTP/1.1: as many requests in one packet as the depth says, the next when all were answered.
#include <strings.h>

#include <cstring>
#include <vector>

#include "tests/bench/load/session.h"

namespace bw::bench {
namespace {

constexpr size_t kMaxHead = 64 << 10;

class H1Session final : public Session {
 public:
  explicit H1Session(Tally& tally) : tally_(tally) {
    tail_ = " HTTP/1.1\r\nHost: " + tally.options.authority +
            "\r\nUser-Agent: breakwater-bench\r\nAccept: */*\r\n";
    if (tally.options.close) tail_ += "Connection: close\r\n";
    tail_ += "\r\n";
    waiting_.resize(tally.options.depth);
  }

  void begin(std::string&) override {}
  uint32_t room() const override { return answered_ == sent_ ? tally_.options.depth : batch_left_; }

  void request(const Request& request, std::string& out) override {
    if (answered_ == sent_) {
      answered_ = sent_ = 0;
      batch_left_ = tally_.options.depth;
    }
    --batch_left_;
    waiting_[sent_++] = request;
    out.append("GET ").append(tally_.urls.path(request.object)).append(tail_);
  }

  const char* receive(const char* data, size_t size, std::string&) override {
    batch_left_ = 0;
    while (size > 0) {
      size_t used = 0;
      if (const char* fault = left_ > 0 ? body(data, size, used) : head(data, size, used)) {
        return fault;
      }
      data += used;
      size -= used;
    }
    return nullptr;
  }

 private:
  const char* head(const char* data, size_t size, size_t& used) {
    if (answered_ == sent_) return "an answer that nobody asked for";
    // Heads change once a second: the one before is mostly this one.
    if (partial_.empty() && !known_.empty() && size >= known_.size() &&
        std::memcmp(data, known_.data(), known_.size()) == 0) {
      used = known_.size();
      return open();
    }
    if (partial_.empty()) {
      const auto* end = static_cast<const char*>(memmem(data, size, "\r\n\r\n", 4));
      if (end != nullptr) {
        used = static_cast<size_t>(end - data) + 4;
        known_.assign(data, used);
        return parse();
      }
    }
    const size_t had = partial_.size();
    partial_.append(data, size);
    used = size;
    const size_t end = partial_.find("\r\n\r\n", had < 3 ? 0 : had - 3);
    if (end == std::string::npos) {
      return partial_.size() > kMaxHead ? "a head without an end" : nullptr;
    }
    used = end + 4 - had;
    known_ = partial_.substr(0, end + 4);
    partial_.clear();
    return parse();
  }

  // Reads known_.
  const char* parse() {
    if (known_.size() < 16 || known_.compare(0, 9, "HTTP/1.1 ") != 0) return "no status line";
    if (known_.compare(9, 3, "200") != 0) return "a status that isn't 200";
    constexpr std::string_view kField = "\r\ncontent-length:";
    for (size_t at = known_.find("\r\n"); at + kField.size() < known_.size();
         at = known_.find("\r\n", at + 2)) {
      if (strncasecmp(known_.data() + at, kField.data(), kField.size()) == 0) {
        length_ = std::strtoull(known_.data() + at + kField.size(), nullptr, 10);
        return open();
      }
    }
    return "no Content-Length";
  }

  // A head was read whole.
  const char* open() {
    const std::string_view path = tally_.urls.path(waiting_[answered_].object);
    if (length_ == 0 || length_ != length_of(path)) return "another length";
    left_ = length_;
    sampled_ = tally_.sampled();
    if (sampled_) proof_.begin(path);
    return nullptr;
  }

  const char* body(const char* data, size_t size, size_t& used) {
    used = left_ < size ? static_cast<size_t>(left_) : size;
    if (sampled_ && !proof_.holds(data, used)) return "another body";
    left_ -= used;
    tally_.bytes += used;
    if (left_ == 0) {
      tally_.compared += sampled_;
      tally_.done(waiting_[answered_++]);
    }
    return nullptr;
  }

  Tally& tally_;
  std::string tail_;
  std::vector<Request> waiting_;
  uint32_t sent_ = 0, answered_ = 0;
  uint32_t batch_left_ = 0;  // may still join the packet being made
  std::string partial_;      // a head cut by a read
  std::string known_;        // the last head
  uint64_t length_ = 0, left_ = 0;
  bool sampled_ = false;
  Proof proof_;
};

}  // namespace

std::unique_ptr<Session> make_h1_session(Tally& tally) {
  return std::make_unique<H1Session>(tally);
}

}  // namespace bw::bench
