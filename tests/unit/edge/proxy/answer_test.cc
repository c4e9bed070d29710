#include "edge/proxy/answer.h"

#include <catch2/catch.hpp>
#include <set>

#include "edge/cache/object.h"

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
  AnswerFacts facts{.via = "1.1 edge1", .site = &site, .cache_status = "edge1; hit"};

  http::FieldList to_client = fields;
  dress(to_client, facts);
  CHECK_FALSE(to_client.has(http::FieldId::cache_tag));
  CHECK_FALSE(to_client.has(http::FieldId::surrogate_key));
  CHECK_FALSE(to_client.has(http::FieldId::cdn_cache_control));
  CHECK_FALSE(to_client.has(http::FieldId::surrogate_control));
  CHECK(to_client.combined(http::FieldId::via) == "1.1 shield1, 1.1 edge1");
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

TEST_CASE("answer: a prepared head and its fields say what the list of them would, or nothing") {
  using Said = std::multiset<std::pair<std::string, std::string>>;
  ObjectMeta meta;
  meta.status = 200;
  meta.body_size = 4;
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"content-type", "text/plain"},
           {"etag", "\"a\""},
           {"date", "Tue, 24 Nov 2026 12:00:00 GMT"},
           {"via", "1.1 shield1"},
           {"cache-tag", "a"},
           {"surrogate-key", "b"},
           {"cdn-cache-control", "max-age=1"},
           {"surrogate-control", "max-age=1"},
           {"x-one", "1"}}) {
    meta.fields.add(name, value);
  }
  const Ref<Object> object(new Object(meta, {Slice::copy_of("body")}));
  struct Row {
    const char* what;
    bool tier, exposed;
    std::vector<std::string> removes;
    std::vector<std::pair<std::string, std::string>> sets;
    bool prepared;
  };
  for (const Row& row : {
           Row{"plain", false, false, {}, {}, true},
           Row{"adds fields", false, false, {}, {{"x-two", "2"}, {"x-three", "3"}}, true},
           Row{"removes what isn't there", false, false, {"x-none"}, {}, true},
           Row{"for a tier", true, false, {}, {}, false},
           Row{"shows tags", false, true, {}, {}, false},
           Row{"removes what is stored", false, false, {"x-one"}, {}, false},
           Row{"sets what is stored", false, false, {}, {{"etag", "\"b\""}}, false},
           Row{"sets what is said anew", false, false, {}, {{"age", "0"}}, false},
           Row{"removes what is said anew", false, false, {"via"}, {}, false},
       }) {
    INFO(row.what);
    Site site;
    site.expose_tags = row.exposed;
    Route route;
    route.headers.response_remove = row.removes;
    route.headers.response_set = row.sets;
    const AnswerFacts facts{.via = "1.1 edge1",
                            .tier = row.tier,
                            .site = &site,
                            .route = &route,
                            .cache_status = "edge1; hit; ttl=5",
                            .age = 7,
                            .size = 4};
    MoreFields more;
    REQUIRE(more.fill(meta.fields, facts) == row.prepared);
    if (!row.prepared) continue;
    Said sent;
    const auto say = [&sent](std::string_view name, std::string_view value) {
      sent.emplace(std::string(name), std::string(value));
    };
    object->head().for_each(say);
    for (const http::Field& field : more.fields()) say(field.name, field.value);
    Said listed;
    const http::ResponseHead answer = make_answer(meta.fields, Part{.length = 4}, facts);
    for (const http::Field field : answer.fields) {
      listed.emplace(std::string(field.name), std::string(field.value));
    }
    CHECK(sent == listed);
    CHECK(object->head().status() == answer.status);
    CHECK(object->head().content_length() == answer.content_length);
  }
}
