#include "origin/conditional.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::origin;

namespace {

constexpr int64_t kNow = 1'764'000'000;
const char* const kOlder = "Sun, 06 Nov 1994 08:49:37 GMT";
const char* const kSame = "Tue, 14 Nov 2023 22:13:20 GMT";

http::RequestHead head_with(std::string method, const char* name, std::string_view value) {
  http::RequestHead head;
  head.method = std::move(method);
  if (name != nullptr) head.fields.add(name, value);
  return head;
}

}  // namespace

TEST_CASE("conditional: preconditions of reads and writes") {
  const Validators current{.etag = "\"a\"", .last_modified = 1'700'000'000};
  struct Row {
    const char* method;
    const char* field;
    const char* value;
    bool exists;
    Precondition verdict;
  };
  const Row rows[] = {
      {"GET", nullptr, "", true, Precondition::go},
      {"GET", "if-none-match", "\"a\"", true, Precondition::not_modified},
      {"GET", "if-none-match", "\"b\", W/\"a\"", true, Precondition::not_modified},
      {"GET", "if-none-match", "\"b\"", true, Precondition::go},
      {"GET", "if-none-match", "a", true, Precondition::go},
      {"GET", "if-none-match", "W/", true, Precondition::go},
      {"GET", "if-none-match", "\"b\", W/", true, Precondition::go},
      {"GET", "if-none-match", "\"b\", , \"a\"", true, Precondition::not_modified},
      {"GET", "if-none-match", ",\"a\"", true, Precondition::not_modified},
      {"GET", "if-none-match", "\"b\" \"a\"", true, Precondition::go},
      {"HEAD", "if-none-match", "*", true, Precondition::not_modified},
      {"PUT", "if-none-match", "*", true, Precondition::failed},
      {"PUT", "if-none-match", "*", false, Precondition::go},
      {"PUT", "if-match", "\"a\"", true, Precondition::go},
      {"PUT", "if-match", "W/\"a\"", true, Precondition::failed},
      {"PUT", "if-match", "\"b\"", true, Precondition::failed},
      {"PUT", "if-match", "*", true, Precondition::go},
      {"PUT", "if-match", "*", false, Precondition::failed},
      {"GET", "if-modified-since", kSame, true, Precondition::not_modified},
      {"GET", "if-modified-since", kOlder, true, Precondition::go},
      {"GET", "if-modified-since", "yesterday", true, Precondition::go},
      {"PUT", "if-unmodified-since", kSame, true, Precondition::go},
      {"PUT", "if-unmodified-since", kOlder, true, Precondition::failed},
  };
  for (const Row& row : rows) {
    INFO(row.method << " " << (row.field ? row.field : "") << " " << row.value);
    CHECK(judge(head_with(row.method, row.field, row.value), row.exists ? &current : nullptr,
                kNow) == row.verdict);
  }
}

TEST_CASE("conditional: single ranges; all else is the whole") {
  const Validators current{.etag = "\"a\"", .last_modified = 1'700'000'000};
  using Kind = Part::Kind;
  struct Row {
    const char* range;
    Kind kind;
    uint64_t offset, length;
  };
  const Row rows[] = {
      {"bytes=0-0", Kind::part, 0, 1},          {"bytes=2-", Kind::part, 2, 8},
      {"bytes=2-100", Kind::part, 2, 8},        {"bytes=-3", Kind::part, 7, 3},
      {"bytes=-30", Kind::part, 0, 10},         {"BYTES=1-2", Kind::part, 1, 2},
      {"bytes=10-", Kind::unsatisfiable, 0, 0}, {"bytes=-0", Kind::unsatisfiable, 0, 0},
      {"bytes=3-2", Kind::whole, 0, 10},        {"bytes=0-1,3-4", Kind::whole, 0, 10},
      {"bytes=-", Kind::whole, 0, 10},          {"bytes=a-b", Kind::whole, 0, 10},
      {"lines=0-1", Kind::whole, 0, 10},        {"bytes=99999999999999999999-", Kind::whole, 0, 10},
  };
  for (const Row& row : rows) {
    INFO(row.range);
    const Part part = choose_part(head_with("GET", "range", row.range), current, 10, kNow);
    CHECK(part.kind == row.kind);
    CHECK(part.offset == row.offset);
    CHECK(part.length == row.length);
  }
  CHECK(choose_part(head_with("HEAD", "range", "bytes=0-0"), current, 10, kNow).kind ==
        Kind::whole);
  http::RequestHead head = head_with("GET", "range", "bytes=0-0");
  head.fields.add("if-range", "\"b\"");
  CHECK(choose_part(head, current, 10, kNow).kind == Kind::whole);
  head.fields.set("if-range", "\"a\"");
  CHECK(choose_part(head, current, 10, kNow).kind == Kind::part);
  head.fields.set("if-range", kSame);
  CHECK(choose_part(head, current, 10, kNow).kind == Kind::part);
  head.fields.set("if-range", kOlder);
  CHECK(choose_part(head, current, 10, kNow).kind == Kind::whole);
}

TEST_CASE("conditional: who welcomes gzip") {
  for (const char* yes : {"gzip", "br, gzip;q=0.5", "*", "GZIP", "x-gzip"}) {
    INFO(yes);
    CHECK(accepts_gzip(head_with("GET", "accept-encoding", yes)));
  }
  for (const char* no : {"", "br", "gzip;q=0", "gzip;q=0.000", "*, gzip;q=0", "identity"}) {
    INFO(no);
    CHECK_FALSE(accepts_gzip(head_with("GET", "accept-encoding", no)));
  }
  CHECK_FALSE(accepts_gzip(head_with("GET", nullptr, "")));
  CHECK(gzip_etag("\"a\"") == "\"a-gz\"");
  CHECK(without_gzip_marks("\"a-gz\", \"b\"") == "\"a\", \"b\"");
}
