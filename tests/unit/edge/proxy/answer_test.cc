#include "edge/proxy/answer.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::edge;

namespace {

http::RequestHead request(std::string method,
                          std::initializer_list<std::pair<std::string, std::string>> fields) {
  http::RequestHead head;
  head.method = std::move(method);
  head.target = "/";
  for (const auto& [name, value] : fields) head.fields.add(name, value);
  return head;
}

}  // namespace

TEST_CASE("answer: the part of a representation is chosen as RFC 9110 orders conditions") {
  const Validators validators{.etag = "\"a\"", .last_modified_s = 784111777};
  struct Row {
    http::RequestHead request;
    int stored;
    int status;
    bool body;
    uint64_t offset, length;
  };
  const std::vector<Row> rows = {
      {request("GET", {}), 200, 200, true, 0, 10},
      {request("HEAD", {}), 200, 200, false, 0, 10},
      {request("GET", {{"if-none-match", "\"a\""}}), 200, 304, false, 0, 0},
      {request("GET", {{"if-none-match", "\"b\""}}), 200, 200, true, 0, 10},
      {request("GET", {{"if-match", "\"b\""}}), 200, 412, false, 0, 0},
      {request("GET", {{"range", "bytes=2-4"}}), 200, 206, true, 2, 3},
      {request("GET", {{"range", "bytes=-4"}}), 200, 206, true, 6, 4},
      {request("GET", {{"range", "bytes=10-"}}), 200, 416, false, 0, 0},
      {request("GET", {{"range", "lines=1-2"}}), 200, 200, true, 0, 10},
      {request("HEAD", {{"range", "bytes=2-4"}}), 200, 200, false, 0, 10},
      {request("GET", {{"range", "bytes=2-4"}, {"if-range", "\"a\""}}), 200, 206, true, 2, 3},
      {request("GET", {{"range", "bytes=2-4"}, {"if-range", "\"b\""}}), 200, 200, true, 0, 10},
      {request("GET", {{"if-none-match", "\"a\""}}), 404, 404, true, 0, 10},
      {request("GET", {{"range", "bytes=2-4"}}), 404, 404, true, 0, 10},
  };
  for (const Row& row : rows) {
    const Part part = choose_part(row.request, row.stored, validators, 10);
    CAPTURE(row.request.method, row.status, row.stored);
    CHECK(part.status == row.status);
    CHECK(part.body == row.body);
    CHECK(part.offset == row.offset);
    CHECK(part.length == row.length);
  }
}

TEST_CASE("answer: while the size isn't known a range is answered with the whole") {
  const Part part = choose_part(request("GET", {{"range", "bytes=0-1"}}), 200, {}, std::nullopt);
  CHECK(part.status == 200);
  CHECK(part.whole);
}

TEST_CASE("answer: tags and targeted fields stay between tiers") {
  http::FieldList fields;
  fields.add("cache-tag", "a");
  fields.add("surrogate-key", "b");
  fields.add("cdn-cache-control", "max-age=1");
  fields.add("surrogate-control", "max-age=1");
  fields.add("via", "1.1 shield1");
  Site site;
  AnswerFacts facts{.node = "edge1", .site = &site, .cache_status = "edge1; hit"};

  http::FieldList to_client = fields;
  dress(to_client, facts);
  CHECK_FALSE(to_client.has(http::FieldId::cache_tag));
  CHECK_FALSE(to_client.has(http::FieldId::surrogate_key));
  CHECK_FALSE(to_client.has(http::FieldId::cdn_cache_control));
  CHECK_FALSE(to_client.has(http::FieldId::surrogate_control));
  CHECK(to_client.find(http::FieldId::via) == "1.1 shield1, 1.1 edge1");
  CHECK(to_client.find(http::FieldId::cache_status) == "edge1; hit");

  facts.tier = true;
  http::FieldList to_tier = fields;
  dress(to_tier, facts);
  CHECK(to_tier.find(http::FieldId::cache_tag) == "a");
  CHECK(to_tier.find(http::FieldId::cdn_cache_control) == "max-age=1");

  facts.tier = false;
  site.expose_tags = true;
  http::FieldList exposed = fields;
  dress(exposed, facts);
  CHECK(exposed.find(http::FieldId::cache_tag) == "a");
  CHECK_FALSE(exposed.has(http::FieldId::surrogate_control));
}
