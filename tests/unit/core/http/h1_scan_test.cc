#include "core/http/h1_scan.h"

#include <catch2/catch.hpp>
#include <string>

#include "core/base/clock.h"

using namespace bw::http;

namespace {

// Any bytes, most of them the ordinary ones of heads, so that runs are of all lengths.
std::string some_bytes(bw::Random& random) {
  std::string bytes(random.below(70), ' ');
  for (char& c : bytes) {
    c = random.below(12) == 0 ? static_cast<char>(random.below(256))
                              : static_cast<char>('A' + random.below(58));
    if (random.below(30) == 0) c = ":\r\n\t -_5"[random.below(8)];
  }
  return bytes;
}

}  // namespace

TEST_CASE("scan: sixteen bytes at a time and one at a time find the same ends") {
  bw::SeededRandom random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string bytes = some_bytes(random);
    const size_t from = random.below(bytes.size() + 1);
    REQUIRE(find_lf(bytes, from) == portable::find_lf(bytes, from));
    REQUIRE(end_of_text(bytes, from) == portable::end_of_text(bytes, from));
    REQUIRE(end_of_target(bytes, from) == portable::end_of_target(bytes, from));
    std::string a = bytes;
    std::string b = bytes;
    const char* const a_end = lower_token(a.data() + from, a.data() + a.size());
    const char* const b_end = portable::lower_token(b.data() + from, b.data() + b.size());
    REQUIRE(a_end - a.data() == b_end - b.data());
    REQUIRE(a == b);
  }
}

TEST_CASE("scan: each byte value ends the runs that it may not be in, wherever it stands") {
  for (int value = 0; value < 256; ++value) {
    for (size_t at = 0; at < 40; ++at) {
      std::string bytes(40, 'a');
      bytes[at] = static_cast<char>(value);
      CHECK(find_lf(bytes, 0) == (value == '\n' ? at : 40));
      const bool text = value == '\t' || (value >= 0x20 && value != 0x7f);
      CHECK(end_of_text(bytes, 0) == (text ? 40 : at));
      const bool target =
          value > 0x20 && value < 0x7f &&
          std::string_view("#\"<>").find(static_cast<char>(value)) == std::string_view::npos;
      CHECK(end_of_target(bytes, 0) == (target ? 40 : at));
      const bool token = is_token(std::string(1, static_cast<char>(value)));
      CHECK(lower_token(bytes.data(), bytes.data() + 40) == bytes.data() + (token ? 40 : at));
    }
  }
}
