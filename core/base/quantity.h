// Sizes, durations and rates as people write them: `512MiB`, `250ms`, `100/s`.
//
// Pure functions. A number is decimal digits with at most nine after a point; `0` needs no unit.
// What doesn't fit is no value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace bw {

// N per second, minute or hour; count 0: none.
struct Rate {
  uint64_t count = 0;
  Duration per = std::chrono::seconds(1);
  friend bool operator==(const Rate&, const Rate&) = default;
};

std::optional<uint64_t> parse_size(std::string_view text);      // B KiB MiB GiB TiB
std::optional<Duration> parse_duration(std::string_view text);  // ms s m h d
std::optional<Rate> parse_rate(std::string_view text);          // N/s N/m N/h

// The shortest exact form with the largest unit that divides.
std::string format_size(uint64_t bytes);
std::string format_duration(Duration duration);
std::string format_rate(const Rate& rate);

}  // namespace bw
