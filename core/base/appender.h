// Appender: short parts put one after another into a string whose room was made once.
//
// For hot paths that build a text of many parts, where each append would ask for room again.
// Lifetime: the string grows by what was put when the Appender goes; nobody touches it meanwhile.
// Bounds: putting more than `room` is a bug (CHECK).
#pragma once

#include <charconv>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/check.h"

namespace bw {

class Appender {
 public:
  Appender(std::string& out, size_t room) : out_(out) {
    const size_t size = out.size();
    out.resize(size + room);
    at_ = out.data() + size;
    end_ = at_ + room;
  }
  ~Appender() { out_.resize(static_cast<size_t>(at_ - out_.data())); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  Appender& put(std::string_view bytes) {
    BW_CHECK(bytes.size() <= static_cast<size_t>(end_ - at_));
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
    return *this;
  }
  // Decimal, at most kDigits bytes.
  template <typename Integer>
  Appender& put_number(Integer value) {
    const std::to_chars_result end = std::to_chars(at_, end_, value);
    BW_CHECK(end.ec == std::errc());
    at_ = end.ptr;
    return *this;
  }
  static constexpr size_t kDigits = 20;  // of the longest 64-bit number, with its sign

  // Where the next part goes: an offset in the string.
  size_t size() const { return static_cast<size_t>(at_ - out_.data()); }

 private:
  std::string& out_;
  char* at_;
  char* end_;
};

}  // namespace bw
