#include "edge/cache/ranges.h"

#include <algorithm>
#include <limits>

#include "edge/cache/field_text.h"

namespace bw::edge {
namespace {

// Digits only; beyond 64 bits the greatest number, which every size is below.
std::optional<uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    value = value > (kMost - digit) / 10 ? kMost : value * 10 + digit;
  }
  return value;
}

}  // namespace

RangeAnswer resolve_range(std::string_view field, uint64_t size) {
  const RangeAnswer whole{RangeAnswer::Kind::whole, 0, size};
  const size_t equals = field.find('=');
  if (equals == std::string_view::npos ||
      !equals_ignoring_case(trim_blanks(field.substr(0, equals)), "bytes")) {
    return whole;
  }
  const std::string_view range = trim_blanks(field.substr(equals + 1));
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return whole;
  const std::string_view first_text = range.substr(0, dash);
  const std::string_view last_text = range.substr(dash + 1);

  if (first_text.empty()) {  // the last N bytes
    const auto length = parse_number(last_text);
    if (!length.has_value()) return whole;
    if (*length == 0) return {RangeAnswer::Kind::unsatisfiable, 0, 0};
    if (size == 0) return whole;  // satisfiable, but no Content-Range can say so
    const uint64_t part = std::min(*length, size);
    return {RangeAnswer::Kind::part, size - part, part};
  }
  const auto first = parse_number(first_text);
  if (!first.has_value()) return whole;
  uint64_t last = std::numeric_limits<uint64_t>::max();
  if (!last_text.empty()) {
    const auto number = parse_number(last_text);
    if (!number.has_value() || *number < *first) return whole;
    last = *number;
  }
  if (*first >= size) return {RangeAnswer::Kind::unsatisfiable, 0, 0};
  last = std::min(last, size - 1);
  return {RangeAnswer::Kind::part, *first, last - *first + 1};
}

std::string content_range(uint64_t offset, uint64_t length, uint64_t size) {
  return "bytes " + std::to_string(offset) + "-" + std::to_string(offset + length - 1) + "/" +
         std::to_string(size);
}

std::string content_range_unsatisfiable(uint64_t size) { return "bytes */" + std::to_string(size); }

std::optional<ContentRange> parse_content_range(std::string_view field) {
  const size_t blank = field.find(' ');
  if (blank == std::string_view::npos || !equals_ignoring_case(field.substr(0, blank), "bytes")) {
    return std::nullopt;
  }
  const std::string_view text = trim_blanks(field.substr(blank));
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *last < *first || *last == std::numeric_limits<uint64_t>::max()) {
    return std::nullopt;
  }
  ContentRange range{*first, *last, std::nullopt};
  if (text.substr(slash + 1) == "*") return range;
  range.size = parse_number(text.substr(slash + 1));
  if (!range.size || *range.size <= *last) return std::nullopt;
  return range;
}

}  // namespace bw::edge
