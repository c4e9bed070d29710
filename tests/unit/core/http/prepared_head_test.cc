#include "core/http/prepared_head.h"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "core/http/h1_writer.h"

namespace bw::http {
namespace {

FieldList stored_fields() {
  FieldList fields;
  fields.add("Content-Type", "text/plain");
  fields.add("ETag", "\"a: b\"");
  fields.add("Connection", "close");
  fields.add("Transfer-Encoding", "chunked");
  fields.add("x-empty", "");
  fields.add("x-bad", "a\r\nb");
  return fields;
}

PreparedHead prepare(int status, std::optional<uint64_t> length, const FieldList& fields) {
  PreparedHead head(status, length);
  for (const Field field : fields) head.add(field);
  return head;
}

}  // namespace

TEST_CASE("a prepared head keeps well-formed fields and leaves those of the connection out") {
  const PreparedHead head = prepare(200, 3, stored_fields());
  std::vector<std::pair<std::string, std::string>> seen;
  head.for_each([&](std::string_view name, std::string_view value) {
    seen.emplace_back(std::string(name), std::string(value));
  });
  CHECK(seen == std::vector<std::pair<std::string, std::string>>{
                    {"content-type", "text/plain"}, {"etag", "\"a: b\""}, {"x-empty", ""}});
  CHECK_FALSE(head.dated());
}

TEST_CASE("a prepared head is written as the same fields in a list are") {
  for (const int status : {200, 204, 404}) {
    for (const H1Framing framing : {H1Framing::none, H1Framing::length, H1Framing::chunked}) {
      for (const bool dated : {false, true}) {
        FieldList fields = stored_fields();
        if (dated) fields.add("Date", "Tue, 24 Nov 2026 12:00:00 GMT");
        const PreparedHead prepared = prepare(status, 3, fields);
        CHECK(prepared.dated() == dated);
        const std::vector<Field> more = {{FieldId::age, "age", "7"}};
        ResponseHead listed;
        listed.status = status;
        listed.fields = fields;
        listed.fields.add("age", "7");
        std::string a, b;
        append_prepared_head(a, prepared, more, framing, 3, "close", "a date");
        append_response_head(b, listed, framing, 3, "close", "a date");
        CHECK(a == b);
      }
    }
  }
}

}  // namespace bw::http
