#include "purge/purge_request.h"

#include <catch2/catch.hpp>

using namespace bw::purge;

namespace {
const std::vector<std::string> kHosts = {"www.shop.example", "*.cdn.shop.example"};

std::string text_of(const std::variant<std::string, Refusal>& result) {
  if (const auto* refusal = std::get_if<Refusal>(&result)) {
    return "refused " + std::to_string(refusal->status);
  }
  return std::get<std::string>(result);
}
int status_of(std::string_view body) {
  const auto result = parse_purge(body, kHosts);
  if (const auto* refusal = std::get_if<Refusal>(&result)) return refusal->status;
  return 0;
}
}  // namespace

TEST_CASE("purge: scheme and port of a URL don't matter, its case of path and query does") {
  const std::pair<const char*, const char*> rows[] = {
      {"https://www.shop.example/a/B?x=1", "www.shop.example/a/B?x=1"},
      {"HTTP://WWW.Shop.Example:8080/a", "www.shop.example/a"},
      {"http://www.shop.example", "www.shop.example/"},
      {"http://www.shop.example?q", "www.shop.example/?q"},
      {"http://www.shop.example/a?", "www.shop.example/a"},
      {"http://www.shop.example./a#part", "www.shop.example/a"},
      {"http://x.cdn.shop.example/p?*", "x.cdn.shop.example/p?*"},
      {"http://cdn.shop.example/p", "refused 422"},
      {"http://other.example/", "refused 422"},
      {"/a", "refused 422"},
      {"ftp://www.shop.example/a", "refused 422"},
      {"http:///a", "refused 422"},
      {"http://u@www.shop.example/a", "refused 422"},
      {"http://www.shop.example:x/a", "refused 422"},
      {"http://www.shop.example/a b", "refused 422"},
      {"", "refused 422"},
  };
  for (const auto& [url, expected] : rows) {
    CAPTURE(url);
    CHECK(text_of(normalise_url(url, kHosts)) == expected);
  }
}

TEST_CASE("purge: a prefix comes with or without scheme and host") {
  const std::pair<const char*, const char*> rows[] = {
      {"/foo", "/foo"},
      {"/foo*", "/foo*"},
      {"https://www.shop.example/foo/", "www.shop.example/foo/"},
      {"WWW.shop.example:443/foo", "www.shop.example/foo"},
      {"www.shop.example", "www.shop.example/"},
      {"other.example/foo", "refused 422"},
      {"/foo?x", "refused 422"},
      {"", "refused 422"},
  };
  for (const auto& [prefix, expected] : rows) {
    CAPTURE(prefix);
    CHECK(text_of(normalise_prefix(prefix, kHosts)) == expected);
  }
}

TEST_CASE("purge: a host is one of the site's, a tag has no blanks") {
  CHECK(text_of(normalise_host("WWW.shop.example:80", kHosts)) == "www.shop.example");
  CHECK(text_of(normalise_host("*.cdn.shop.example", kHosts)) == "refused 422");
  CHECK(text_of(normalise_host("evil.example", kHosts)) == "refused 422");
  CHECK(text_of(normalise_tag("product-42")) == "product-42");
  CHECK(text_of(normalise_tag("")) == "refused 400");
  CHECK(text_of(normalise_tag("a b")) == "refused 400");
}

TEST_CASE("purge: everything is soft by default and goes alone, all else is hard") {
  auto purge = std::get<Purge>(parse_purge(R"({"everything":true})", kHosts));
  CHECK(purge.mode == Mode::soft);
  CHECK(purge.items == std::vector<PurgeItem>{{Kind::all, ""}});
  purge = std::get<Purge>(
      parse_purge(R"({"tags":["a","b"],"hosts":["www.shop.example"],"wait":"all"})", kHosts));
  CHECK(purge.mode == Mode::hard);
  CHECK(purge.wait == Wait::all);
  CHECK(purge.items.size() == 3);
  CHECK(status_of(R"({"everything":true,"tags":["a"]})") == 400);
}

TEST_CASE("purge: what is malformed, unknown, empty or too much is refused") {
  const std::pair<const char*, int> rows[] = {
      {"", 400},
      {"{", 400},
      {"[]", 400},
      {"{}", 400},
      {R"({"tags":[]})", 400},
      {R"({"everything":false})", 400},
      {R"({"tags":"a"})", 400},
      {R"({"tags":[1]})", 400},
      {R"({"tags":["a"],"dry_run":true})", 400},
      {R"({"tags":["a"],"confirm":1})", 400},
      {R"({"groups":[]})", 400},
      {R"({"tags":["a"],"tags":["b"]})", 400},
      {R"({"tags":["a"],"mode":"medium"})", 400},
      {R"({"tags":["a"],"wait":"some"})", 400},
      {R"({"tags":["a"],"wait_timeout_ms":-1})", 400},
      {R"({"tags":["a"],"wait_timeout_ms":60001})", 400},
      {R"({"urls":["http://other.example/"]})", 422},
      {R"({"urls":["nonsense"]})", 422},
  };
  for (const auto& [body, status] : rows) {
    CAPTURE(body);
    CHECK(status_of(body) == status);
  }
  std::string many = R"({"tags":["a")";
  for (int i = 0; i < 499; ++i) many += R"(,"a")";
  CHECK(status_of(many + "]}") == 0);
  CHECK(status_of(many + R"(,"a"]})") == 413);
  CHECK(status_of(std::string(kMaxPurgeBody + 1, ' ')) == 413);
}
