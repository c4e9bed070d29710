#include "core/http/field_list.h"

#include <catch2/catch.hpp>

using bw::http::FieldId;
using bw::http::FieldList;

TEST_CASE("fields: every known name finds its id in any case, and no other does") {
  for (size_t i = 1; i <= static_cast<size_t>(FieldId::x_request_id); ++i) {
    const auto id = static_cast<FieldId>(i);
    std::string name(bw::http::field_name(id));
    CHECK(bw::http::field_id(name) == id);
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    CHECK(bw::http::field_id(name) == id);
    CHECK(bw::http::field_id(name + "x") == FieldId::other);
  }
  CHECK(bw::http::field_id("") == FieldId::other);
  CHECK(bw::http::field_id("x-unknown") == FieldId::other);
}

TEST_CASE("fields: keep order, lower names, and are found, set, removed and combined") {
  FieldList fields;
  fields.add("X-A", "1");
  fields.add(FieldId::vary, "accept");
  fields.add("x-a", "2");
  fields.add("VARY", "origin");
  CHECK(fields.size() == 4);
  CHECK(fields[0].name == "x-a");
  CHECK(fields.find("X-a") == "1");
  CHECK(fields.find(FieldId::vary) == "accept");
  CHECK(fields.count(FieldId::vary) == 2);
  CHECK(fields.combined(FieldId::vary) == "accept, origin");
  CHECK(fields.combined("x-A") == "1, 2");
  CHECK_FALSE(fields.combined(FieldId::age).has_value());
  CHECK(fields.bytes() == 2 * (3 + 1 + 32) + (4 + 6 + 32) * 2);
  fields.set("X-A", "3");
  CHECK(fields.combined("x-a") == "3");
  fields.remove(FieldId::vary);
  fields.remove("x-a");
  CHECK(fields.empty());
}

TEST_CASE("fields: names are tokens, values are text without outer blanks") {
  CHECK(bw::http::is_field_name("x-a!"));
  for (std::string_view name : {"", "a b", "a:", "\xc3", "a\r"}) {
    CHECK_FALSE(bw::http::is_field_name(name));
  }
  for (std::string_view value : {"", "a b", "a\tb", "\xc3\xa9"}) {
    CHECK(bw::http::is_field_value(value));
  }
  for (std::string_view value : {" a", "a ", "a\r\nb", "a\nb", "\x7f"}) {
    CHECK_FALSE(bw::http::is_field_value(value));
  }
}

TEST_CASE("fields: what was removed or cleared isn't found, though its id was there once") {
  FieldList fields;
  fields.add(FieldId::range, "bytes=0-1");
  fields.add(FieldId::x_request_id, "1");
  fields.remove(FieldId::range);
  CHECK_FALSE(fields.has(FieldId::range));
  CHECK(fields.find(FieldId::x_request_id) == "1");
  fields.clear();
  CHECK_FALSE(fields.find(FieldId::x_request_id).has_value());
  CHECK(fields.count(FieldId::x_request_id) == 0);
}

TEST_CASE("fields: those of a block are views into one copy of it") {
  FieldList fields;
  const std::string_view block = "vary: a\r\nx-b:2\r\n";
  char* const copy = fields.copy_block(block);
  fields.add_in_block(FieldId::vary, {copy, 4}, {copy + 6, 1});
  fields.add_in_block(FieldId::other, {copy + 9, 3}, {copy + 13, 1});
  fields.add("Age", "3");
  const FieldList other = fields;
  CHECK(other.find(FieldId::vary) == "a");
  CHECK(other.find("X-B") == "2");
  CHECK(other.find(FieldId::age) == "3");
  CHECK(other.bytes() == 3 * 32 + 4 + 1 + 3 + 1 + 3 + 1);
}
