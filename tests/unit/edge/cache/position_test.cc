#include "edge/cache/position.h"

#include <catch2/catch.hpp>

#include "edge/cache/reason.h"
#include "edge/cache/tags.h"

using namespace bw::edge;
using namespace bw;

TEST_CASE("position: text and number say the same, and nothing else is a position") {
  CHECK(position_text(make_position(3, 42)) == "3.42");
  CHECK(parse_position("3.42") == make_position(3, 42));
  CHECK(parse_position("0.0") == Position{0});
  CHECK(parse_position("65535.281474976710655") == ~Position{0});
  CHECK(make_position(1, 0) > make_position(0, 99));
  for (const char* text : {"", ".", "3", "3.", ".4", "03.4", "3.04", "+3.4", "3.-4", " 3.4", "3.4 ",
                           "65536.1", "1.281474976710656", "1.2.3", "a.b", "1.99999999999999999"}) {
    INFO(text);
    CHECK_FALSE(parse_position(text).has_value());
  }
}

TEST_CASE("reason: texts are those of the closed list") {
  CHECK(to_text(Reason::none).empty());
  CHECK(to_text(Reason::soft_purged) == "soft-purged");
  CHECK(to_text(Reason::url_network) == "url-network");
  CHECK(to_text(Reason::no_store) == "uncacheable:no-store");
  CHECK(to_text(Reason::not_shared) == "uncacheable:private");
  CHECK(to_text(Reason::incomplete) == "uncacheable:incomplete");
  for (int i = 1; i < kReasons; ++i) {
    const auto reason = static_cast<Reason>(i);
    CHECK((to_text(reason).substr(0, 12) == "uncacheable:") == is_uncacheable(reason));
  }
}

TEST_CASE("tags: both fields, in any number of lines, each tag once") {
  http::FieldList fields;
  fields.add("cache-tag", "product-42, category-7,,product-42");
  fields.add("cache-tag", " a b ");
  fields.add("surrogate-key", "product-42  x\ty");
  const Tags tags = parse_tags(fields, 100);
  CHECK_FALSE(tags.overflow);
  CHECK(tags.hashes.size() == 5);  // product-42, category-7, "a b", x, y
  for (const char* tag : {"product-42", "category-7", "a b", "x", "y"}) {
    CHECK(std::binary_search(tags.hashes.begin(), tags.hashes.end(), tag_hash(tag)));
  }
  CHECK(tag_hash("A") != tag_hash("a"));
}

TEST_CASE("tags: too many or too long overflow, and never lose one silently") {
  http::FieldList fields;
  fields.add("cache-tag", "a,b,c");
  CHECK(parse_tags(fields, 3).hashes.size() == 3);
  CHECK(parse_tags(fields, 2).overflow);
  fields.add("surrogate-key", std::string(kMaxTagBytes, 'x'));
  CHECK(parse_tags(fields, 100).overflow);
  CHECK(parse_tags(fields, 100).hashes.empty());
  const std::vector<uint64_t> a = {1, 2}, b = {2, 3};
  CHECK(union_of(a, b, 3).hashes == std::vector<uint64_t>{1, 2, 3});
  CHECK(union_of(a, b, 2).overflow);
}

TEST_CASE("tags: groups are scoped to their origin") {
  http::FieldList fields;
  fields.add("cache-groups", R"("scripts", "a,b", 5, token)");
  CHECK(parse_tags(fields, 10).hashes.empty());
  const Tags tags = parse_tags(fields, 10, "https://h.example");
  CHECK(tags.hashes.size() == 2);
  const auto has = [&](uint64_t hash) {
    return std::binary_search(tags.hashes.begin(), tags.hashes.end(), hash);
  };
  CHECK(has(group_hash("https://H.example", "scripts")));
  CHECK(has(group_hash("https://h.example", "a,b")));
  CHECK_FALSE(has(group_hash("http://h.example", "scripts")));
  CHECK_FALSE(has(tag_hash("scripts")));
}
