#pragma once
// What every bench object says: its path and a line feed, over and over, as long as its path tells.
//
// Paths are "/LENGTH/NAME", so that origin, references and client agree without a list, and the
// client proves a body by its path alone.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace bw::bench {

// The length that "/1024/one" names; 0: none.
inline uint64_t length_of(std::string_view path) {
  uint64_t length = 0;
  for (size_t i = 1; i < path.size() && i < 14 && path[i] >= '0' && path[i] <= '9'; ++i) {
    length = length * 10 + static_cast<uint64_t>(path[i] - '0');
  }
  return length;
}

inline std::string body_of(std::string_view path) {
  std::string body;
  const uint64_t length = length_of(path);
  body.reserve(length + path.size() + 1);
  while (body.size() < length) body.append(path).push_back('\n');
  body.resize(length);
  return body;
}

// Compares pieces of a body with what its path says.
class Proof {
 public:
  void begin(std::string_view path) {
    period_ = path.size() + 1;
    if (path != path_ || block_.empty()) {
      path_ = path;
      block_.clear();
      while (block_.size() < kBlock + period_) block_.append(path).push_back('\n');
    }
    offset_ = 0;
  }
  bool holds(const char* data, size_t size) {
    while (size > 0) {
      const size_t piece = std::min(size, kBlock);
      if (std::memcmp(data, block_.data() + offset_ % period_, piece) != 0) return false;
      offset_ += piece;
      data += piece;
      size -= piece;
    }
    return true;
  }

 private:
  static constexpr size_t kBlock = 2048;
  std::string path_, block_;
  uint64_t offset_ = 0;
  size_t period_ = 1;
};

}  // namespace bw::bench
