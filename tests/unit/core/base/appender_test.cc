#include "core/base/appender.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <string>

namespace bw {

TEST_CASE("appender: what was put follows what was there, and unused room leaves no trace") {
  std::string text = "a";
  {
    Appender parts(text, 64);
    CHECK(parts.size() == 1);
    parts.put("bc").put("").put_number(42).put(std::string_view("\0d", 2));
    CHECK(parts.size() == 7);
  }
  CHECK(text == std::string_view("abc42\0d", 7));
  { const Appender nothing(text, 1024); }
  CHECK(text.size() == 7);
}

TEST_CASE("appender: its room may be used to the last byte") {
  std::string text;
  {
    Appender parts(text, 3 + 2 * Appender::kDigits);
    parts.put_number(std::numeric_limits<uint64_t>::max());
    parts.put_number(std::numeric_limits<int64_t>::min()).put("xyz");
  }
  CHECK(text == "18446744073709551615-9223372036854775808xyz");
}

}  // namespace bw
