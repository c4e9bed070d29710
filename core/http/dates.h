// HTTP dates: any of the three forms in, the preferred form out.
//
// Pure. See: RFC 9110 section 5.6.7.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw::http {

// Seconds since 1970 UTC; nullopt: no date. `now` (the same scale) decides the century of a
// two-digit year: at most 50 years ahead.
std::optional<int64_t> parse_date(std::string_view text, int64_t now);
// "Sun, 06 Nov 1994 08:49:37 GMT"; for years 0 to 9999, clamped.
std::string format_date(int64_t seconds);

}  // namespace bw::http
