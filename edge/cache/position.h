// A place in the invalidation log: 16 bits of epoch, 48 of sequence, compared as one number.
//
// Text is `EPOCH.SEQ` in decimal. 0 means "before everything". See: docs/architecture.md, purge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw::edge {

using Position = uint64_t;

constexpr Position make_position(uint16_t epoch, uint64_t sequence) {
  return (Position{epoch} << 48) | (sequence & ((Position{1} << 48) - 1));
}
constexpr uint16_t position_epoch(Position p) { return static_cast<uint16_t>(p >> 48); }
constexpr uint64_t position_sequence(Position p) { return p & ((Position{1} << 48) - 1); }

std::string position_text(Position position);
// nullopt for anything but `EPOCH.SEQ` within its bits, without signs, blanks or leading zeros.
std::optional<Position> parse_position(std::string_view text);

}  // namespace bw::edge
