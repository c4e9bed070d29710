#include "core/base/quantity.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace std::chrono_literals;

TEST_CASE("quantity: sizes take binary units and nothing else") {
  CHECK(parse_size("512MiB") == 512ull << 20);
  CHECK(parse_size("1.5GiB") == 3ull << 29);
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("64KiB") == 65536);
  CHECK(parse_size("7B") == 7);
  for (const char* bad : {"", "MiB", "12", "-1MiB", "1MB", "1 MiB", "0x1KiB", "1.KiB", "1.3B",
                          "99999999999TiB", "99999999999999999999B", ".5GiB"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_size(bad));
  }
}

TEST_CASE("quantity: durations and rates") {
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("1.5s") == 1500ms);
  CHECK(parse_duration("365d") == 365 * 24h);
  CHECK(parse_duration("0s") == 0s);
  CHECK_FALSE(parse_duration("10"));
  CHECK_FALSE(parse_duration("1us"));
  CHECK_FALSE(parse_duration("999999999d"));
  CHECK(parse_rate("100/s") == Rate{100, 1s});
  CHECK(parse_rate("6/m") == Rate{6, 60s});
  CHECK(parse_rate("0/s") == Rate{0, 1s});
  for (const char* bad : {"", "/s", "1", "1/d", "x/s", "-1/s", "1/s/s"})
    CHECK_FALSE(parse_rate(bad));
}

TEST_CASE("quantity: what is written is read again") {
  for (const char* text : {"512MiB", "1KiB", "7B", "3TiB"})
    CHECK(format_size(*parse_size(text)) == text);
  for (const char* text : {"250ms", "90s", "2m", "1d", "7h"}) {
    CHECK(format_duration(*parse_duration(text)) == text);
  }
  for (const char* text : {"5/s", "5/m", "5/h"}) CHECK(format_rate(*parse_rate(text)) == text);
}
