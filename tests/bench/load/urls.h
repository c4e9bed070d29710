#pragma once
// Which object is asked for next.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/load/options.h"

namespace bw::bench {

class Urls {
 public:
  explicit Urls(const Options& options);

  bool many() const { return many_; }
  uint64_t next() {
    if (draws_.empty()) return many_ ? turn_++ % objects_ : 0;
    return draws_[turn_++ & (draws_.size() - 1)];
  }
  // Valid until the next call.
  std::string_view path(uint64_t object) {
    if (many_) {
      for (size_t i = path_.size(); i > digits_; object /= 10) {
        path_[--i] = static_cast<char>('0' + object % 10);
      }
    }
    return path_;
  }

 private:
  bool many_;
  uint64_t objects_;
  uint64_t turn_ = 0;
  std::string path_;
  size_t digits_ = 0;            // where the number begins
  std::vector<uint32_t> draws_;  // made beforehand: a draw costs a look, not a logarithm
};

}  // namespace bw::bench
