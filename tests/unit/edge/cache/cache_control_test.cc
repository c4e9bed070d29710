#include "edge/cache/cache_control.h"

#include <catch2/catch.hpp>

using namespace bw::edge;
using namespace bw;

TEST_CASE("cache_control: numbers, forms and faults") {
  struct Row {
    const char* text;
    std::optional<int64_t> max_age;
  };
  const Row rows[] = {
      {"max-age=60", 60},
      {"MAX-AGE=60", 60},
      {"max-age=\"60\"", 60},
      {"max-age=060", 60},
      {" , ,max-age=60,", 60},
      {"x=\"a, max-age=1\", max-age=5", 5},
      {"x=\"a\\\", max-age=1\", max-age=5", 5},
      {"max-age=10, max-age=5", 5},
      {"max-age=10, max-age", 0},
      {"max-age", 0},
      {"max-age=", 0},
      {"max-age=-1", 0},
      {"max-age=1.5", 0},
      {"max-age=1e3", 0},
      {"max-age= 60", 0},
      {"max-age =60", 60},
      {"max-age=60s", 0},
      {"max-age='60'", 0},
      {"max-age=2147483648", kMaxSeconds},
      {"max-age=99999999999999999999999", kMaxSeconds},
      {"max-age:60", std::nullopt},
      {"maxage=60", std::nullopt},
      {"s-maxage=60", std::nullopt},
      {"max age=60", std::nullopt},
      {"x=\"max-age=60", std::nullopt},
      {"", std::nullopt},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(parse_cache_control(row.text).max_age == row.max_age);
  }
}

TEST_CASE("cache_control: flags, qualified forms and lines") {
  CacheDirectives expected;
  expected.no_cache = expected.is_private = expected.is_public = expected.no_store = true;
  expected.must_revalidate = expected.proxy_revalidate = expected.must_understand = true;
  expected.only_if_cached = true;
  expected.s_maxage = 1;
  expected.stale_while_revalidate = 2;
  expected.stale_if_error = 3;
  expected.min_fresh = 4;
  expected.max_stale = kMaxSeconds;
  http::FieldList fields;
  fields.add("cache-control", "no-cache=\"a, b\", private=\"set-cookie\", public, No-Store");
  fields.add("cache-control", "must-revalidate,proxy-revalidate, must-understand,only-if-cached");
  fields.add("cache-control", "s-maxage=1, stale-while-revalidate=2, stale-if-error=3");
  fields.add("cache-control", "min-fresh=4, max-stale, unknown=5");
  CHECK(parse_cache_control(fields) == expected);
  CHECK(parse_cache_control(http::FieldList()) == CacheDirectives());
  CHECK(parse_cache_control("private =x").is_private);
  CHECK(parse_cache_control("max-stale=7").max_stale == 7);
}

TEST_CASE("cache_control: a targeted field is a dictionary or nothing") {
  CHECK(parse_targeted("max-age=60, no-cache")->max_age == 60);
  CHECK(parse_targeted("max-age=60, no-cache")->no_cache);
  CHECK_FALSE(parse_targeted("no-store=?0")->no_store);
  CHECK(parse_targeted("private=\"x\"")->is_private);
  CHECK(parse_targeted("max-age=60;ext=1")->max_age == 60);
  CHECK(parse_targeted("max-age=5, max-age=60")->max_age == 60);  // the last, as RFC 8941 says
  CHECK(parse_targeted("max-age=\"60\"")->max_age == 0);
  CHECK(parse_targeted("max-age=-1")->max_age == 0);
  CHECK(parse_targeted("max-age=1.5")->max_age == 0);
  CHECK(parse_targeted("max-age=999999999999999")->max_age == kMaxSeconds);
  CHECK(parse_targeted("max-age=(1 2)")->max_age == 0);
  for (const char* text : {"", "  ", "max-age=", "max-age=60,", "Max-Age=60", "max-age=300+600"}) {
    INFO(text);
    CHECK_FALSE(parse_targeted(text).has_value());
  }
}
