#include "core/http/dates.h"

#include <catch2/catch.hpp>

using bw::http::format_date;
using bw::http::parse_date;

namespace {
constexpr int64_t kNow = 1'700'000'000;  // 2023
constexpr int64_t kRfc = 784'111'777;    // 1994-11-06 08:49:37
}  // namespace

TEST_CASE("dates: all three forms are read, and nothing else") {
  CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow) == kRfc);
  CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow) == kRfc);
  CHECK(parse_date("Sun Nov  6 08:49:37 1994", kNow) == kRfc);
  CHECK(parse_date("Wed Nov 16 08:49:37 1994", kNow) == kRfc + 10 * 86400);
  CHECK(parse_date("Thu, 29 Feb 2024 23:59:60 GMT", kNow) == 1'709'251'200);
  for (std::string_view text :
       {"", "0", "-1", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "sun, 06 nov 1994 08:49:37 gmt", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06-Nov-94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994"}) {
    CHECK_FALSE(parse_date(text, kNow).has_value());
  }
}

TEST_CASE("dates: a two-digit year is at most fifty years ahead") {
  CHECK(parse_date("Thursday, 01-Jan-70 00:00:00 GMT", kNow) == 3'155'760'000);  // 2070
  CHECK(parse_date("Monday, 01-Jan-74 00:00:00 GMT", kNow) == 126'230'400);      // 1974
}

TEST_CASE("dates: the preferred form is written, with years clamped") {
  CHECK(format_date(kRfc) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(format_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(format_date(-1) == "Wed, 31 Dec 1969 23:59:59 GMT");
  CHECK(format_date(INT64_MAX) == "Fri, 31 Dec 9999 23:59:59 GMT");
  CHECK(format_date(INT64_MIN) == "Sat, 01 Jan 0000 00:00:00 GMT");
}
