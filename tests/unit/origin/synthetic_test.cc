#include "origin/synthetic.h"

#include <catch2/catch.hpp>

#include "origin/body_stream.h"
#include "origin/gzip.h"

using namespace bw;
using namespace bw::origin;

namespace {

std::optional<Synthetic> parse(const std::string& target, std::string* why) {
  http::RequestHead head;
  head.method = "GET";
  head.target = target;
  head.fields.add("accept-language", "de");
  return parse_synthetic(head, why);
}

}  // namespace

TEST_CASE("synthetic: any part is the same bytes as of the whole") {
  std::string whole(1000, '\0');
  fill_synthetic(7, 0, whole.data(), whole.size());
  for (size_t offset : {0, 1, 7, 8, 9, 500}) {
    for (size_t size : {0, 1, 3, 8, 17, 400}) {
      std::string part(size, '\0');
      fill_synthetic(7, offset, part.data(), size);
      CHECK(part == whole.substr(offset, size));
    }
  }
  std::string other(1000, '\0');
  fill_synthetic(8, 0, other.data(), other.size());
  CHECK(other != whole);
}

TEST_CASE("synthetic: parameters") {
  std::string why;
  const auto s = parse(
      "/synthetic/a%2Fb?size=10&delay=250ms&rate=64KiB&cache_control=no-store&tags=a%2C%20b&"
      "status=404&chunked=1&cut=5",
      &why);
  INFO(why);
  REQUIRE(s);
  CHECK(s->id == "a%2Fb");
  CHECK(s->size == 10);
  CHECK(s->delay == std::chrono::milliseconds(250));
  CHECK(s->rate == 65536);
  CHECK(s->cache_control == "no-store");
  CHECK(s->tags == "a, b");
  CHECK(s->status == 404);
  CHECK(s->chunked);
  CHECK(s->cut == 5);
  CHECK(parse("/synthetic/a?size=1", &why)->cache_control == "max-age=86400");
}

TEST_CASE("synthetic: what varies has other bytes and another tag") {
  std::string why;
  const auto plain = parse("/synthetic/a?size=1", &why);
  const auto varied = parse("/synthetic/a?size=1&vary=accept-language", &why);
  CHECK(plain->seed != varied->seed);
  CHECK(plain->validators.etag != varied->validators.etag);
  CHECK(plain->validators.etag != parse("/synthetic/a?size=2", &why)->validators.etag);
  CHECK(plain->validators.etag == parse("/synthetic/a?size=1&rate=1KiB", &why)->validators.etag);
}

TEST_CASE("synthetic: bad parameters are named") {
  for (const char* target :
       {"/synthetic/?size=1", "/synthetic/a", "/synthetic/a?size=", "/synthetic/a?size=-1",
        "/synthetic/a?size=9999999999999999", "/synthetic/a?size=1&what=2",
        "/synthetic/a?size=1&delay=1y", "/synthetic/a?size=1&rate=0",
        "/synthetic/a?size=1&status=9", "/synthetic/a?size=1&cache_control=a%0Ab",
        "/synthetic/a?size=1&vary=a%20b", "/synthetic/a?size=%zz"}) {
    INFO(target);
    std::string why;
    CHECK_FALSE(parse(target, &why));
    CHECK_FALSE(why.empty());
  }
}

TEST_CASE("files: only paths below the folder") {
  CHECK(parse_file_path("a/b.css") == "a/b.css");
  CHECK(parse_file_path("a%20b") == "a b");
  for (const char* bad : {"", "..", "../x", "a/../x", "a/./x", "a//x", "a/", "/a", "%2e%2e/x",
                          "a%2f..%2fx", "a%00", ".hidden", "%"}) {
    INFO(bad);
    CHECK_FALSE(parse_file_path(bad));
  }
  CHECK(content_type_of("a.css") == "text/css; charset=utf-8");
  CHECK(content_type_of("a") == "application/octet-stream");
}

TEST_CASE("gzip: smaller or nothing") {
  const std::string text(10'000, 'x');
  const auto small = gzip(text);
  REQUIRE(small);
  CHECK(small->size() < 100);
  CHECK_FALSE(gzip("x"));
  CHECK_FALSE(gzip(""));
}
