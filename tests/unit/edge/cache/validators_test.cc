#include "edge/cache/validators.h"

#include <catch2/catch.hpp>

#include "edge/cache/cache_status.h"
#include "edge/cache/ranges.h"

using namespace bw::edge;
using namespace bw;

namespace {

constexpr char kT0[] = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr char kT1[] = "Sun, 06 Nov 1994 08:49:38 GMT";
constexpr char kT2[] = "Sun, 06 Nov 1994 08:50:00 GMT";

using Fields = std::vector<std::pair<const char*, const char*>>;

http::FieldList fields_of(const Fields& fields) {
  http::FieldList list;
  for (const auto& [name, value] : fields) list.add(name, value);
  return list;
}

http::RequestHead request(const Fields& fields, const char* method = "GET") {
  http::RequestHead head;
  head.method = method;
  head.fields = fields_of(fields);
  return head;
}

}  // namespace

TEST_CASE("validators: only well-formed tags and dates are validators") {
  const auto etag = [](const char* text) {
    return validators_of(fields_of({{"etag", text}})).etag;
  };
  CHECK(etag("\"a\"") == "\"a\"");
  CHECK(etag("W/\"a\"") == "W/\"a\"");
  CHECK(etag("\"\"") == "\"\"");
  for (const char* text :
       {"a", "\"a", "a\"", "w/\"a\"", "\"a\"b", "\"a b\"", "W/", "\"a\", \"b\""}) {
    INFO(text);
    CHECK(etag(text).empty());
  }
  const Validators both = validators_of(fields_of({{"last-modified", kT1}, {"date", kT2}}));
  CHECK(both.any());
  CHECK_FALSE(both.strong());
  CHECK(*both.date_s - *both.last_modified_s == 22);
  CHECK_FALSE(validators_of(fields_of({{"last-modified", "yesterday"}})).any());
}

TEST_CASE("validators: conditions in the order of RFC 9110 13.2.2") {
  Validators stored =
      validators_of(fields_of({{"etag", "\"a\""}, {"last-modified", kT1}, {"date", kT2}}));
  struct Row {
    Fields fields;
    const char* method;
    Condition expected;
  };
  const Row rows[] = {
      {{}, "GET", Condition::holds},
      {{{"if-none-match", "\"a\""}}, "GET", Condition::not_modified},
      {{{"if-none-match", "W/\"a\""}}, "HEAD", Condition::not_modified},
      {{{"if-none-match", "\"b\", \"a\""}}, "GET", Condition::not_modified},
      {{{"if-none-match", "\"b\""}, {"if-none-match", "\"a\""}}, "GET", Condition::not_modified},
      {{{"if-none-match", "*"}}, "GET", Condition::not_modified},
      {{{"if-none-match", "\"a\""}}, "PUT", Condition::failed},
      {{{"if-none-match", "\"b\""}}, "GET", Condition::holds},
      {{{"if-none-match", "\"a"}}, "GET", Condition::holds},
      {{{"if-none-match", "\"a\"x"}}, "GET", Condition::holds},
      {{{"if-none-match", "x, \"a\""}}, "GET", Condition::not_modified},
      {{{"if-modified-since", kT1}}, "GET", Condition::not_modified},
      {{{"if-modified-since", kT2}}, "GET", Condition::not_modified},
      {{{"if-modified-since", kT0}}, "GET", Condition::holds},
      {{{"if-modified-since", "never"}}, "GET", Condition::holds},
      {{{"if-modified-since", kT2}}, "POST", Condition::holds},
      {{{"if-none-match", "\"b\""}, {"if-modified-since", kT2}}, "GET", Condition::holds},
      {{{"if-match", "\"a\""}}, "GET", Condition::holds},
      {{{"if-match", "W/\"a\""}}, "GET", Condition::failed},
      {{{"if-match", "\"b\""}}, "GET", Condition::failed},
      {{{"if-match", "*"}}, "GET", Condition::holds},
      {{{"if-match", "\"a\""}, {"if-unmodified-since", kT0}}, "GET", Condition::holds},
      {{{"if-unmodified-since", kT1}}, "GET", Condition::holds},
      {{{"if-unmodified-since", kT0}}, "GET", Condition::failed},
      {{{"if-match", "\"a\""}, {"if-none-match", "\"a\""}}, "GET", Condition::not_modified},
  };
  for (const Row& row : rows) {
    INFO((row.fields.empty() ? "none" : row.fields[0].second) << " " << row.method);
    CHECK(evaluate_conditions(request(row.fields, row.method), stored) == row.expected);
    CHECK(evaluate_conditions(request(row.fields, row.method), stored, false) == Condition::holds);
  }
  CHECK(evaluate_conditions(request({{"if-modified-since", kT2}}),
                            validators_of(fields_of({{"date", kT2}}))) == Condition::not_modified);
  CHECK(evaluate_conditions(request({{"if-none-match", "\"a\""}}), Validators()) ==
        Condition::holds);
  CHECK(is_conditional(request({{"if-match", "*"}})));
  CHECK_FALSE(is_conditional(request({{"if-range", "\"a\""}, {"range", "bytes=0-1"}})));
}

TEST_CASE("validators: If-Range needs a strong match") {
  const Validators stored =
      validators_of(fields_of({{"etag", "\"a\""}, {"last-modified", kT1}, {"date", kT2}}));
  CHECK(if_range_holds(request({}), stored));
  CHECK(if_range_holds(request({{"if-range", "\"a\""}}), stored));
  CHECK_FALSE(if_range_holds(request({{"if-range", "W/\"a\""}}), stored));
  CHECK_FALSE(if_range_holds(request({{"if-range", "\"b\""}}), stored));
  CHECK(if_range_holds(request({{"if-range", kT1}}), stored));
  CHECK_FALSE(if_range_holds(request({{"if-range", kT2}}), stored));
  CHECK_FALSE(if_range_holds(request({{"if-range", "soon"}}), stored));
  const Validators young = validators_of(fields_of({{"last-modified", kT1}, {"date", kT1}}));
  CHECK_FALSE(if_range_holds(request({{"if-range", kT1}}), young));
}

TEST_CASE("validators: a validation asks with what is stored, and takes what selects it") {
  Validators stored = validators_of(fields_of({{"etag", "\"a\""}, {"last-modified", kT1}}));
  http::FieldList out = fields_of({{"if-match", "\"x\""}, {"range", "bytes=0-1"}, {"accept", "*"}});
  set_conditions(out, stored);
  CHECK(out.find("if-none-match") == "\"a\"");
  CHECK(out.find("if-modified-since") == kT1);
  CHECK(out.find("accept") == "*");
  CHECK(out.size() == 3);

  CHECK(not_modified_selects(fields_of({}), stored));
  CHECK(not_modified_selects(fields_of({{"etag", "\"a\""}}), stored));
  CHECK(not_modified_selects(fields_of({{"etag", "W/\"a\""}}), stored));
  CHECK_FALSE(not_modified_selects(fields_of({{"etag", "\"b\""}}), stored));
  CHECK_FALSE(not_modified_selects(fields_of({{"etag", "\"b\""}, {"last-modified", kT1}}), stored));
  CHECK(not_modified_selects(fields_of({{"last-modified", kT1}}), stored));
  CHECK_FALSE(not_modified_selects(fields_of({{"last-modified", kT2}}), stored));
  stored.etag = "W/\"a\"";
  CHECK_FALSE(not_modified_selects(fields_of({{"etag", "\"a\""}}), stored));
}

TEST_CASE("validators: freshening replaces all but what describes the body") {
  http::FieldList stored = fields_of({{"etag", "\"a\""},
                                      {"content-type", "text/html"},
                                      {"x-a", "1"},
                                      {"x-a", "2"},
                                      {"vary", "accept"},
                                      {"x-b", "1"}});
  freshen_fields(stored, fields_of({{"x-a", "3"},
                                    {"content-type", "text/plain"},
                                    {"content-encoding", "br"},
                                    {"connection", "x-hop"},
                                    {"x-hop", "1"},
                                    {"vary", "x"},
                                    {"date", kT1}}));
  CHECK(stored.combined("x-a") == "3");
  CHECK(stored.find("content-type") == "text/html");
  CHECK_FALSE(stored.has(http::FieldId::content_encoding));
  CHECK_FALSE(stored.find("x-hop").has_value());
  CHECK(stored.find("vary") == "accept");
  CHECK(stored.find("x-b") == "1");
  CHECK(stored.find("date") == kT1);
}

TEST_CASE("ranges: one range of bytes, or the whole") {
  using Kind = RangeAnswer::Kind;
  struct Row {
    const char* field;
    uint64_t size;
    RangeAnswer expected;
  };
  const Row rows[] = {
      {"bytes=0-4", 10, {Kind::part, 0, 5}},
      {"BYTES=0-4", 10, {Kind::part, 0, 5}},
      {"bytes= 2-", 10, {Kind::part, 2, 8}},
      {"bytes=-3", 10, {Kind::part, 7, 3}},
      {"bytes=-30", 10, {Kind::part, 0, 10}},
      {"bytes=9-99999999999999999999999", 10, {Kind::part, 9, 1}},
      {"bytes=0-0", 1, {Kind::part, 0, 1}},
      {"bytes=10-", 10, {Kind::unsatisfiable, 0, 0}},
      {"bytes=99999999999999999999999-", 10, {Kind::unsatisfiable, 0, 0}},
      {"bytes=-0", 10, {Kind::unsatisfiable, 0, 0}},
      {"bytes=0-", 0, {Kind::unsatisfiable, 0, 0}},
      {"bytes=-5", 0, {Kind::whole, 0, 0}},
      {"bytes=4-2", 10, {Kind::whole, 0, 10}},
      {"bytes=0-1,3-4", 10, {Kind::whole, 0, 10}},
      {"bytes=a-b", 10, {Kind::whole, 0, 10}},
      {"bytes=1", 10, {Kind::whole, 0, 10}},
      {"bytes=-", 10, {Kind::whole, 0, 10}},
      {"bytes=+1-2", 10, {Kind::whole, 0, 10}},
      {"items=0-1", 10, {Kind::whole, 0, 10}},
      {"", 10, {Kind::whole, 0, 10}},
  };
  for (const Row& row : rows) {
    INFO(row.field);
    CHECK(resolve_range(row.field, row.size) == row.expected);
  }
  CHECK(content_range(2, 3, 10) == "bytes 2-4/10");
  CHECK(content_range_unsatisfiable(10) == "bytes */10");
  CHECK(parse_content_range("bytes 2-4/10")->last == 4);
  CHECK_FALSE(parse_content_range("bytes 2-4/*")->size.has_value());
  for (const char* text :
       {"", "bytes", "bytes */10", "bytes 4-2/10", "bytes 2-10/10", "items 0-1/2", "bytes 0-1",
        "bytes 0-x/2", "bytes 0-18446744073709551615/*"}) {
    INFO(text);
    CHECK_FALSE(parse_content_range(text).has_value());
  }
}

TEST_CASE("cache_status: members as RFC 9211 writes them") {
  CHECK(cache_status_member({.node = "fra1-a", .hit = true, .ttl = 42}) == "fra1-a; hit; ttl=42");
  CHECK(cache_status_member({.node = "fra1-a", .fwd = Forwarded::miss, .stored = true}) ==
        "fra1-a; fwd=miss; stored");
  CHECK(cache_status_member(
            {.node = "a", .hit = true, .fwd = Forwarded::stale, .ttl = -12, .detail = "swr"}) ==
        "a; hit; ttl=-12; detail=swr");
  CHECK(cache_status_member({.node = "a",
                             .fwd = Forwarded::stale,
                             .fwd_status = 304,
                             .collapsed = true,
                             .detail = "uncacheable:no-store"}) ==
        "a; fwd=stale; fwd-status=304; collapsed; detail=uncacheable:no-store");
  CHECK(append_cache_status("s; hit", "e; fwd=miss") == "s; hit, e; fwd=miss");
  CHECK(append_cache_status("", "e; hit") == "e; hit");
  CHECK(forwarded_for(Reason::absent) == Forwarded::uri_miss);
  CHECK(forwarded_for(Reason::vary) == Forwarded::vary_miss);
  CHECK(forwarded_for(Reason::no_store) == Forwarded::miss);
}
