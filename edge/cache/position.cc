#include "edge/cache/position.h"

namespace bw::edge {
namespace {

// Digits only, no leading zero, at most `most`.
std::optional<uint64_t> parse_number(std::string_view text, uint64_t most) {
  if (text.empty() || text.size() > 15 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value <= most ? std::optional(value) : std::nullopt;
}

}  // namespace

std::string position_text(Position position) {
  return std::to_string(position_epoch(position)) + "." +
         std::to_string(position_sequence(position));
}

std::optional<Position> parse_position(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto epoch = parse_number(text.substr(0, dot), 0xffff);
  const auto sequence = parse_number(text.substr(dot + 1), (uint64_t{1} << 48) - 1);
  if (!epoch || !sequence) return std::nullopt;
  return make_position(static_cast<uint16_t>(*epoch), *sequence);
}

}  // namespace bw::edge
