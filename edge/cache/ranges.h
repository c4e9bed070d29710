// Byte ranges of requests and the fields that answer them.
//
// Pure. Several ranges are answered with the whole (RFC 9110 section 14.2 lets a server ignore
// Range). See: RFC 9110 section 14.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw::edge {

struct RangeAnswer {
  enum class Kind : uint8_t { whole, part, unsatisfiable };
  Kind kind = Kind::whole;  // 200, 206, 416
  uint64_t offset = 0;
  uint64_t length = 0;
  friend bool operator==(const RangeAnswer&, const RangeAnswer&) = default;
};
// `field`: the value of Range; `size`: of the whole representation. Another unit, several ranges
// or bad syntax: whole.
RangeAnswer resolve_range(std::string_view field, uint64_t size);

// "bytes 0-4/10", "bytes */10".
std::string content_range(uint64_t offset, uint64_t length, uint64_t size);
std::string content_range_unsatisfiable(uint64_t size);

struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;
  std::optional<uint64_t> size;
};
// Of an origin's 206; nullopt: not one valid byte range.
std::optional<ContentRange> parse_content_range(std::string_view field);

}  // namespace bw::edge
