#include "core/base/quantity.h"

#include <array>
#include <span>

namespace bw {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr std::array<Unit, 5> kSizes = {
    {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}}};
constexpr std::array<Unit, 5> kDurations = {{{"d", 86'400'000'000'000},
                                             {"h", 3'600'000'000'000},
                                             {"m", 60'000'000'000},
                                             {"s", 1'000'000'000},
                                             {"ms", 1'000'000}}};
constexpr uint64_t kMost = INT64_MAX;  // durations are signed; sizes need no more

// digits[.digits]UNIT, exact in the smallest unit.
std::optional<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  if (text == "0") return 0;
  unsigned __int128 digits = 0;
  uint64_t divisor = 1;
  size_t i = 0;
  bool point = false;
  size_t before = 0;
  size_t after = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.' && !point && before > 0) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    if (point ? ++after > 9 : ++before > 19) return std::nullopt;
    digits = digits * 10 + static_cast<unsigned>(c - '0');
    if (point) divisor *= 10;
  }
  if (before == 0 || (point && after == 0)) return std::nullopt;
  for (const Unit& unit : units) {
    if (text.substr(i) != unit.name) continue;
    const unsigned __int128 scaled = digits * unit.factor;
    if (scaled % divisor != 0 || scaled / divisor > kMost) return std::nullopt;
    return static_cast<uint64_t>(scaled / divisor);
  }
  return std::nullopt;
}

std::string format_with_unit(uint64_t value, std::span<const Unit> units) {
  if (value == 0) return "0";
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) {
      return std::to_string(value / unit.factor) + std::string(unit.name);
    }
  }
  return {};
}

}  // namespace

std::optional<uint64_t> parse_size(std::string_view text) { return parse_with_unit(text, kSizes); }

std::optional<Duration> parse_duration(std::string_view text) {
  const std::optional<uint64_t> ns = parse_with_unit(text, kDurations);
  if (!ns) return std::nullopt;
  return Duration(static_cast<int64_t>(*ns));
}

std::optional<Rate> parse_rate(std::string_view text) {
  if (text == "0") return Rate{};
  const size_t slash = text.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash > 18) return std::nullopt;
  Rate rate;
  for (char c : text.substr(0, slash)) {
    if (c < '0' || c > '9') return std::nullopt;
    rate.count = rate.count * 10 + static_cast<uint64_t>(c - '0');
  }
  const std::string_view unit = text.substr(slash + 1);
  if (unit == "s") {
    rate.per = std::chrono::seconds(1);
  } else if (unit == "m") {
    rate.per = std::chrono::minutes(1);
  } else if (unit == "h") {
    rate.per = std::chrono::hours(1);
  } else {
    return std::nullopt;
  }
  return rate;
}

std::string format_size(uint64_t bytes) { return format_with_unit(bytes, kSizes); }

std::string format_duration(Duration duration) {
  const int64_t ns = duration.count();
  if (ns <= 0) return "0s";
  const std::string exact = format_with_unit(static_cast<uint64_t>(ns), kDurations);
  return exact.empty() ? std::to_string(static_cast<double>(ns) / 1e6) + "ms" : exact;
}

std::string format_rate(const Rate& rate) {
  const char* unit = rate.per == std::chrono::hours(1)     ? "/h"
                     : rate.per == std::chrono::minutes(1) ? "/m"
                                                           : "/s";
  return std::to_string(rate.count) + unit;
}

}  // namespace bw
