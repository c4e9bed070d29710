// Position: a place in the invalidation log, an epoch and a sequence in one 64-bit number.
//
// The sequence is dense and goes on across epochs; an epoch is a fencing term, new at each start of
// the service. Positions are compared as a whole. Written `EPOCH.SEQ` in fields, queries and JSON.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw::purge {

struct Position {
  static constexpr uint64_t kMaxSequence = (uint64_t{1} << 48) - 1;
  static constexpr uint32_t kMaxEpoch = 0xffff;

  uint64_t value = 0;  // 0: before the log's first record

  static Position of(uint32_t epoch, uint64_t sequence) {
    return {(uint64_t{epoch} << 48) | (sequence & kMaxSequence)};
  }
  uint32_t epoch() const { return static_cast<uint32_t>(value >> 48); }
  uint64_t sequence() const { return value & kMaxSequence; }

  std::string text() const;
  // Two decimal numbers without signs or leading zeros.
  static std::optional<Position> parse(std::string_view text);

  friend auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace bw::purge
