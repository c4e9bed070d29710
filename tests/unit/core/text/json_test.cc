#include "core/text/json.h"

#include <catch2/catch.hpp>

using namespace bw;
using bw::text::Json;

TEST_CASE("json: what is written is read again") {
  Json json;
  json.set("s", "a\"\\\n\x01ü").set("i", -7).set("u", size_t{9}).set("b", true).set("d", 0.5);
  json.set("n", nullptr).set("list", Json::array().push(1).push("two").push(Json::object()));
  const std::string text = json.dump();
  CHECK(text ==
        "{\"s\":\"a\\\"\\\\\\n\\u0001ü\",\"i\":-7,\"u\":9,\"b\":true,\"d\":0.5,\"n\":null,"
        "\"list\":[1,\"two\",{}]}");
  Result<Json> again = Json::parse(text);
  REQUIRE(again.ok());
  CHECK(*again == json);
  CHECK(again->get("s").as_string() == "a\"\\\n\x01ü");
  CHECK(again->get("i").as_int() == -7);
  CHECK(again->get("i").as_number() == -7.0);
  CHECK_FALSE(again->get("d").as_int());
  CHECK(again->get("list").items().size() == 3);
  CHECK(again->get("absent").is_null());
  CHECK(Json::parse(json.dump(2)).ok());
}

TEST_CASE("json: a whole number that was no integer stays none") {
  CHECK(Json::parse("-0e3")->dump() == "-0.0");
  CHECK(Json(2.0).dump() == "2.0");
}

TEST_CASE("json: bytes that aren't UTF-8 never leave") {
  CHECK(Json("a\xff\xc0\x80z").dump() == "\"a\uFFFD\uFFFD\uFFFDz\"");
}

TEST_CASE("json: hostile text is an error with its place") {
  std::string deep(200, '[');
  for (const std::string& bad :
       {std::string(""), std::string("{"), std::string("[1,]"), std::string("{\"a\":1,\"a\":2}"),
        std::string("nul"), std::string("1 2"), std::string("\"\xff\""), std::string("{\"a\"}"),
        std::string("[1e999]"), deep}) {
    CAPTURE(bad);
    std::string why;
    CHECK_FALSE(Json::parse(bad, {}, &why).ok());
    CHECK_FALSE(why.empty());
  }
  std::string why;
  CHECK(Json::parse("{\"a\": x}", {}, &why).error().code == 7);
  CHECK(Json::parse("[[1]]", {100, 1}).error().kind == Error::Kind::too_large);
  CHECK(Json::parse("[1234]", {3, 9}).error().kind == Error::Kind::too_large);
  CHECK(Json::parse("18446744073709551615")->as_number() == 18446744073709551615.0);
}
