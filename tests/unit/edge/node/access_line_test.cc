#include <catch2/catch.hpp>

#include "core/text/json.h"
#include "edge/node/access_log.h"

using namespace bw;
using namespace bw::edge;
using Shown = LogSettings::ClientAddress;

namespace {

struct Written {
  Written() {
    request.method = "GET";
    request.scheme = "https";
    request.authority = "shop.example";
    request.target = "/shoes?size=9";
    record.time = {1'700'000'000'012'000'000};
    record.site = "shop";
    record.client = *net::Ip::parse("192.0.2.77");
    record.request = &request;
    record.status = 200;
    record.bytes_out = 1024;
    record.verdict = Verdict::hit;
    record.served_by = ServedBy::memory;
    record.total = std::chrono::microseconds(40);
  }
  text::Json json(Shown shown = Shown::full) const {
    std::string line;
    append_json_line(line, record, {"n1", "ams"}, shown);
    CHECK(line.back() == '\n');
    CHECK(line.find('\n') == line.size() - 1);
    const Result<text::Json> parsed = text::Json::parse(line);
    REQUIRE(parsed.ok());
    return *parsed;
  }
  std::string combined(Shown shown = Shown::full) const {
    std::string line;
    append_combined_line(line, record, shown);
    return line;
  }

  http::RequestHead request;
  AccessRecord record;
};

}  // namespace

TEST_CASE("access line: JSON says who, what and how long") {
  const text::Json line = Written().json();
  CHECK(line.get("time").as_string() == "2023-11-14T22:13:20.012Z");
  CHECK(line.get("node").as_string() == "n1");
  CHECK(line.get("path").as_string() == "/shoes");
  CHECK(line.get("query").as_string() == "size=9");
  CHECK(line.get("verdict").as_string() == "hit");
  CHECK(line.get("tier").as_string() == "memory");
  CHECK(line.get("bytes_out").as_int() == 1024);
  CHECK(line.get("total_us").as_int() == 40);
}

TEST_CASE("access line: a client's address is shown whole, as its network, or not at all") {
  const struct {
    const char* client;
    Shown shown;
    const char* text;
  } cases[] = {
      {"192.0.2.77", Shown::full, "192.0.2.77"},
      {"192.0.2.77", Shown::truncated, "192.0.2.0"},
      {"2001:db8:1:2:3::9", Shown::truncated, "2001:db8:1::"},
      {"192.0.2.77", Shown::none, ""},
  };
  for (const auto& one : cases) {
    INFO(one.client);
    Written written;
    written.record.client = *net::Ip::parse(one.client);
    CHECK(written.json(one.shown).get("client").as_string() == one.text);
  }
}

TEST_CASE("access line: a line of the combined format as other servers write it") {
  CHECK(Written().combined() ==
        "192.0.2.77 - - [14/Nov/2023:22:13:20 +0000] \"GET /shoes?size=9 HTTP/1.1\" 200 1024 "
        "\"-\" \"-\"\n");
  CHECK(Written().combined(Shown::none).starts_with("- - - ["));
}

TEST_CASE("access line: what a client sends can neither end its quotes nor begin a line") {
  Written written;
  written.request.fields.add("user-agent", "a\"b\\c\xff\td");
  const std::string line = written.combined();
  CHECK(line.ends_with("\"a\\x22b\\x5cc\\xff\\x09d\"\n"));
  CHECK(line.find('\n') == line.size() - 1);
  written.json();  // parses, and is one line
}
