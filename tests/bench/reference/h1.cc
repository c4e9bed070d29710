// The bare HTTP/1.1 reference: one read, all requests found in it answered by one write.
#include <array>
#include <cstring>
#include <vector>

#include "tests/bench/reference/server.h"

namespace bw::bench {
namespace {

constexpr size_t kGather = 64 << 10;   // small answers of TLS share records
constexpr size_t kRecords = 16 << 10;  // a write of a large body

std::array<char, 64 << 10> input;
std::string gathered;

class H1Peer final : public Peer {
 public:
  using Peer::Peer;

  bool readable() override {
    while (true) {
      const size_t had = partial_.size();
      const int64_t got = transport_.read(input.data(), input.size());
      if (got < 0) return transport_.blocked;
      std::string_view bytes(input.data(), static_cast<size_t>(got));
      if (had > 0) {
        partial_ += bytes;
        bytes = partial_;
      }
      size_t end = 0;
      while ((end = bytes.find("\r\n\r\n")) != std::string_view::npos) {
        if (bytes.substr(0, 4) != "GET ") return false;
        const size_t space = bytes.find(' ', 4);
        if (space >= end) return false;
        waiting_.push_back(&answer_of(bytes.substr(4, space - 4)));
        bytes.remove_prefix(end + 4);
      }
      if (had > 0 || !bytes.empty()) partial_ = std::string(bytes);
      if (!write_all()) return false;
      if (!transport_.tls() || !waiting_.empty()) return true;
    }
  }

  bool writable() override { return write_all(); }

 private:
  bool write_all() {
    while (!waiting_.empty()) {
      const int64_t sent = transport_.tls() ? write_records() : write_pieces();
      if (sent < 0) {
        want_write(transport_.blocked);
        return transport_.blocked;
      }
      offset_ += static_cast<size_t>(sent);
      size_t whole = 0;
      while (whole < waiting_.size() && offset_ >= waiting_[whole]->bytes.size()) {
        offset_ -= waiting_[whole++]->bytes.size();
      }
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(whole));
    }
    want_write(false);
    return true;
  }

  int64_t write_pieces() {
    std::array<iovec, 64> pieces;
    int count = 0;
    size_t skip = offset_;
    for (const Answer* answer : waiting_) {
      if (count == static_cast<int>(pieces.size())) break;
      pieces[static_cast<size_t>(count++)] = {const_cast<char*>(answer->bytes.data()) + skip,
                                              answer->bytes.size() - skip};
      skip = 0;
    }
    return transport_.write(pieces.data(), count);
  }

  int64_t write_records() {
    const std::string& first = waiting_.front()->bytes;
    if (first.size() - offset_ > kRecords) {
      return transport_.write(first.data() + offset_, kRecords);
    }
    if (waiting_.size() == 1)
      return transport_.write(first.data() + offset_, first.size() - offset_);
    gathered.clear();
    size_t skip = offset_;
    for (const Answer* answer : waiting_) {
      if (gathered.size() + answer->bytes.size() > kGather) break;
      gathered.append(answer->bytes, skip);
      skip = 0;
    }
    return transport_.write(gathered.data(), gathered.size());
  }

  std::string partial_;
  std::vector<const Answer*> waiting_;
  size_t offset_ = 0;  // of the first of them
};

}  // namespace
}  // namespace bw::bench

int main(int count, char** arguments) {
  return bw::bench::serve(bw::bench::parse_server_options(count, arguments), false,
                          [](event_base* base, int socket, SSL* ssl) -> bw::bench::Peer* {
                            return new bw::bench::H1Peer(base, socket, ssl);
                          });
}
