#include "origin/product.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::origin;
using bw::text::Json;

namespace {

const WallTime kNow{1'764'000'000'123'000'000};

Json json(std::string_view text) {
  Result<Json> parsed = Json::parse(text);
  REQUIRE(parsed.ok());
  return *parsed;
}

}  // namespace

TEST_CASE("product: what is given becomes whole, in its order") {
  std::string why;
  const Result<Json> product = make_product(
      "42", json(R"({"stock":3,"category":"7","name":"x","updated_at":"whenever"})"), kNow, &why);
  INFO(why);
  REQUIRE(product.ok());
  CHECK(product->dump() == R"({"id":"42","name":"x","category":"7","price_cents":0,"stock":3,)"
                           R"("updated_at":"2025-11-24T16:00:00.123Z","description":""})");
  CHECK(category_tag(*product) == "category-7");
  CHECK(product_tag("42") == "product-42");
}

TEST_CASE("product: what breaks a rule is named") {
  struct Row {
    const char* given;
    const char* why;
  };
  const Row rows[] = {
      {R"([])", "object"},
      {R"({"name":"x","category":"7","colour":1})", "colour"},
      {R"({"name":"x","category":"7","id":"43"})", "id"},
      {R"({"category":"7"})", "name"},
      {R"({"name":"","category":"7"})", "name"},
      {R"({"name":"x","category":"a b"})", "category"},
      {R"({"name":"x","category":7})", "category"},
      {R"({"name":"x","category":"7","stock":-1})", "stock"},
      {R"({"name":"x","category":"7","price_cents":1.5})", "price_cents"},
      {R"({"name":"x","category":"7","description":1})", "description"},
  };
  for (const Row& row : rows) {
    INFO(row.given);
    std::string why;
    CHECK_FALSE(make_product("42", json(row.given), kNow, &why).ok());
    CHECK(why.find(row.why) != std::string::npos);
  }
}

TEST_CASE("product: ids") {
  for (const char* id : {"1", "a.b-c_D", "..."}) CHECK(is_product_id(id));
  for (const char* id : {"", ".", "..", "a/b", "a b", "é"}) CHECK_FALSE(is_product_id(id));
  CHECK_FALSE(is_product_id(std::string(65, 'a')));
}

TEST_CASE("product: patches merge as RFC 7396 appendix A says") {
  struct Row {
    const char* target;
    const char* patch;
    const char* merged;
  };
  const Row rows[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const Row& row : rows) {
    INFO(row.target << " + " << row.patch);
    CHECK(merge_patch(json(row.target), json(row.patch)).dump() == row.merged);
  }
}

TEST_CASE("product: fields choose members") {
  const Json product = generated_product(42, kNow);
  CHECK(project(product, *parse_fields("stock,id")).dump().starts_with(R"({"id":"42","stock":)"));
  CHECK(project(product, *parse_fields("")) == product);
  CHECK_FALSE(parse_fields("id,colour"));
}

TEST_CASE("product: the catalogue is always the same, and keeps the rules") {
  for (uint64_t n : {1, 42, 10'000}) {
    const Json product = generated_product(n, kNow);
    CHECK(product == generated_product(n, kNow));
    std::string why;
    const Result<Json> checked = make_product(std::to_string(n), product, kNow, &why);
    INFO(why);
    REQUIRE(checked.ok());
    CHECK(checked->dump() == product.dump());
  }
}
