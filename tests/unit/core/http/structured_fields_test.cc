#include "core/http/structured_fields.h"

#include <catch2/catch.hpp>

using namespace bw::http::sf;

TEST_CASE("structured fields: each kind of bare item is read") {
  CHECK(std::get<int64_t>(parse_item(" -42 ")->value) == -42);
  CHECK(std::get<Decimal>(parse_item("1.5")->value).thousandths == 1500);
  CHECK(std::get<Decimal>(parse_item("-0.125")->value).thousandths == -125);
  CHECK(std::get<std::string>(parse_item(R"("a\"b\\")")->value) == "a\"b\\");
  CHECK(std::get<Token>(parse_item("*a/b:c")->value).text == "*a/b:c");
  CHECK(std::get<Bytes>(parse_item(":aGk=:")->value).text == "hi");
  CHECK(std::get<bool>(parse_item("?1")->value));
  CHECK_FALSE(std::get<bool>(parse_item("?0")->value));
}

TEST_CASE("structured fields: a fault makes the field void") {
  for (std::string_view text :
       {"", "-", "1.", "1.2345", "1234567890123456", "\"a", "\"a\\x\"", "\"\x7f\"", "\"\xc3\"",
        "?2", ":a", ":a:", ":?:", "a b", "a;", "a;A=1", "@1", "a;b=", "1,2"}) {
    CHECK_FALSE(parse_item(text).has_value());
  }
  for (std::string_view text : {"a,", "a,,b", ",a", "(a", "(a b", "(a,b)", "(a)b", "a b"}) {
    CHECK_FALSE(parse_list(text).has_value());
  }
  for (std::string_view text : {"a=", "A=1", "a=1,", "a=1 b=2", "1=a", "a;=1"}) {
    CHECK_FALSE(parse_dictionary(text).has_value());
  }
}

TEST_CASE("structured fields: Cache-Status and targeted cache control are read") {
  const auto list = parse_list("Origin; hit;ttl=-12 ,\t\"edge one\";fwd=miss;stored, (a b);x");
  REQUIRE(list->size() == 3);
  const Item& first = (*list)[0].items[0];
  CHECK(std::get<Token>(first.value).text == "Origin");
  CHECK(std::get<bool>(*find(first.parameters, "hit")));
  CHECK(std::get<int64_t>(*find(first.parameters, "ttl")) == -12);
  CHECK((*list)[2].inner_list);
  CHECK((*list)[2].items.size() == 2);
  CHECK(find((*list)[2].parameters, "x") != nullptr);

  const auto dictionary = parse_dictionary("max-age=600, no-store, max-age=60;x");
  REQUIRE(dictionary->size() == 2);
  CHECK(std::get<int64_t>(find(*dictionary, "max-age")->items[0].value) == 60);
  CHECK(std::get<bool>(find(*dictionary, "no-store")->items[0].value));
  CHECK(find(*dictionary, "private") == nullptr);
  CHECK(parse_list("")->empty());
  CHECK(parse_dictionary("  ")->empty());
}

TEST_CASE("structured fields: strings and tokens are written, or refused") {
  CHECK(encode_string("a\"b\\") == "\"a\\\"b\\\\\"");
  CHECK_FALSE(encode_string("a\n").has_value());
  CHECK(encode_token("a/b") == "a/b");
  CHECK_FALSE(encode_token("1a").has_value());
  CHECK_FALSE(encode_token("").has_value());
  std::string names;
  append_name(names, "fra1-a");
  append_name(names, "1\n");
  CHECK(names == "fra1-a\"1?\"");
}
