#include "edge/cache/key.h"

#include <catch2/catch.hpp>

#include "edge/cache/vary.h"

using namespace bw::edge;
using namespace bw;

namespace {

http::RequestHead get(const char* target, const char* host = "h.example") {
  http::RequestHead head;
  head.method = "GET";
  head.scheme = "https";
  head.authority = host;
  head.target = target;
  return head;
}

SitePolicy site() {
  SitePolicy policy;
  policy.site = 1;
  policy.name = "shop";
  return policy;
}

}  // namespace

TEST_CASE("key: paths are normalised, and normalising twice changes nothing") {
  const std::pair<const char*, const char*> rows[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/%61%2d%7E", "/a-~"},
      {"/%2f%3F%20", "/%2F%3F%20"},
      {"/%c3%a4", "/%C3%A4"},
      {"/\xc3\xa4 ", "/%C3%A4%20"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/%2e%2E/b", "/b"},
      {"/..", "/"},
      {"/../../a", "/a"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/a/.", "/a/"},
      {"/a//b", "/a//b"},
      {"/a//../b", "/a/b"},
      {"//", "//"},
      {"/.a/..b/...", "/.a/..b/..."},
      {"/%", "/%25"},
      {"/%4", "/%254"},
      {"/%zz", "/%25zz"},
      {"/%%41B", "/%25AB"},
      {"*", "*"},
      {"", "/"},
      {"a", "/a"},
      {"/A%2fb", "/A%2Fb"},
  };
  for (const auto& [in, out] : rows) {
    INFO(in);
    CHECK(normalise_path(in) == out);
    CHECK(normalise_path(normalise_path(in)) == out);
  }
  CHECK(normalise_path("/A%2fB%41", true) == "/a%2Fba");
}

TEST_CASE("key: queries are kept as the rules say") {
  KeyRules keep;
  CHECK(normalise_query(keep, "b=2&a=1&&c") == "b=2&a=1&&c");
  CHECK_FALSE(normalise_query(keep, std::nullopt).has_value());
  CHECK_FALSE(normalise_query(keep, "").has_value());
  KeyRules sort;
  sort.query = KeyRules::Query::sort;
  CHECK(normalise_query(sort, "b=2&a=2&a=1&&c") == "a=2&a=1&b=2&c");
  KeyRules none;
  none.query = KeyRules::Query::none;
  CHECK_FALSE(normalise_query(none, "a=1").has_value());
  KeyRules only;
  only.query_only = {"id", "p*"};
  CHECK(normalise_query(only, "x=1&page=2&id=3&idx=4&p=5") == "page=2&id=3&p=5");
  CHECK_FALSE(normalise_query(only, "x=1").has_value());
  KeyRules except;
  except.query_except = {"utm_*", "ref"};
  CHECK(normalise_query(except, "utm_a=1&a=2&ref&reference=3") == "a=2&reference=3");
  except.ignore_case = true;
  CHECK(normalise_query(except, "UTM_a=1&A=B%2f") == "a=b%2f");
}

TEST_CASE("key: hosts lose case, port and trailing dot") {
  CHECK(normalise_host("WWW.Shop.Example:8443") == "www.shop.example");
  CHECK(normalise_host("h.") == "h");
  CHECK(normalise_host("[2001:DB8::1]:80") == "[2001:db8::1]");
  CHECK(normalise_host("") == "");
}

TEST_CASE("key: what differs in the key differs in the hash, and nothing else does") {
  const SitePolicy policy = site();
  const Hash128 base = make_key(policy, get("/a?x=1")).hash;
  http::RequestHead head = get("/a?x=1");
  head.method = "HEAD";
  CHECK(make_key(policy, head).hash == base);
  head = get("/%61?x=1", "H.Example:443");
  head.fields.add("accept", "text/html");
  CHECK(make_key(policy, head).hash == base);
  CHECK(make_key(policy, head).target() == "/a?x=1");

  head = get("/a?x=1");
  head.method = "POST";
  CHECK(make_key(policy, head).hash != base);
  head = get("/a?x=1");
  head.scheme = "http";
  CHECK(make_key(policy, head).hash != base);
  CHECK(make_key(policy, get("/a?x=2")).hash != base);
  CHECK(make_key(policy, get("/a?x=1", "i.example")).hash != base);
  SitePolicy other = policy;
  other.key_seed = 7;
  CHECK(make_key(other, get("/a?x=1")).hash != base);
  other = policy;
  other.name = "blog";
  CHECK(make_key(other, get("/a?x=1")).hash != base);
  other = policy;
  other.key.query = KeyRules::Query::sort;  // the rules are part of the key
  CHECK(make_key(other, get("/a?x=1")).hash != base);
  CHECK(rules_hash(other.key) != rules_hash(policy.key));
}

TEST_CASE("key: named fields and cookies split keys; absent and empty are two") {
  SitePolicy policy = site();
  policy.key.headers = {"x-lang"};
  policy.key.cookies = {"seg"};
  const auto hash = [&](const char* lang, const char* cookie) {
    http::RequestHead head = get("/");
    if (lang != nullptr) head.fields.add("x-lang", lang);
    if (cookie != nullptr) head.fields.add("cookie", cookie);
    return make_key(policy, head).hash;
  };
  CHECK(hash("de", nullptr) != hash("en", nullptr));
  CHECK(hash(nullptr, nullptr) != hash("", nullptr));
  CHECK(hash(nullptr, "seg=a; id=1") == hash(nullptr, "id=2; seg=a"));
  CHECK(hash(nullptr, "seg=a") != hash(nullptr, "seg=b"));
  CHECK(hash(nullptr, "seg=a; seg=b") != hash(nullptr, "seg=a"));
}

TEST_CASE("key: a purge's text finds the objects of all schemes, methods and mapped queries") {
  SitePolicy policy = site();
  policy.key.query = KeyRules::Query::sort;
  policy.key.query_except = {"utm_*"};
  const CacheKey key = make_key(policy, get("/p%61th?b=1&a=2&utm_x=3"));
  CHECK(key.purge_hashes().url == url_purge_key(policy.key, "H.example:8443", "/path", "a=2&b=1"));
  CHECK(key.purge_hashes().url != url_purge_key(policy.key, "h.example", "/path", std::nullopt));
  CHECK(key.purge_hashes().url_any_query == any_query_purge_key(policy.key, "h.example", "/path"));
  CHECK(key.purge_hashes().host == host_purge_key("h.EXAMPLE"));
  CHECK(key.purge_hashes().url != key.purge_hashes().url_any_query);
  const CacheKey bare = make_key(policy, get("/path?utm_x=3"));
  CHECK(bare.purge_hashes().url == url_purge_key(policy.key, "h.example", "/path", std::nullopt));

  policy.key.host = false;  // all hosts share, and so do their purges
  const CacheKey shared = make_key(policy, get("/path"));
  CHECK(shared.hash == make_key(policy, get("/path", "other.example")).hash);
  CHECK(shared.purge_hashes().url ==
        url_purge_key(policy.key, "any.example", "/path", std::nullopt));
  CHECK(shared.purge_hashes().host == host_purge_key(""));
}

TEST_CASE("key: cookies are stripped by name over all lines") {
  http::FieldList fields;
  fields.add("cookie", "a=1; b=2");
  fields.add("cookie", "c=3;a=4");
  const std::vector<std::string> names = {"a"};
  strip_cookies(fields, names);
  CHECK(fields.count(http::FieldId::cookie) == 1);
  CHECK(fields.find(http::FieldId::cookie) == "b=2; c=3");
  const std::vector<std::string> rest = {"b", "c"};
  strip_cookies(fields, rest);
  CHECK_FALSE(fields.has(http::FieldId::cookie));
}

TEST_CASE("vary: names are sorted, once each; a star or no name at all is a star") {
  const auto parse = [](std::initializer_list<const char*> lines) {
    http::FieldList fields;
    for (const char* line : lines) fields.add("vary", line);
    return parse_vary(fields);
  };
  CHECK(parse({"B, a", "b,,A"}).names == std::vector<std::string>{"a", "b"});
  CHECK(parse({}).names.empty());
  CHECK(parse({""}).names.empty());
  CHECK(parse({"a, *"}).star);
  CHECK(parse({"a b"}).star);
  CHECK(parse({"a;b"}).star);
}

TEST_CASE("vary: Accept-Encoding has four values") {
  const std::pair<const char*, const char*> rows[] = {
      {"", "identity"},
      {"gzip", "gzip"},
      {"gzip, deflate, br", "br, gzip"},
      {"GZIP;q=1.0, BR;q=0.5", "gzip"},
      {"br;q=0.9, gzip;q=0.9", "br, gzip"},
      {"br, *", "br, gzip"},
      {"br, *;q=0", "br"},
      {"br;q=0, gzip;q=0", "identity"},
      {"br;q=0, gzip", "gzip"},
      {"*", "gzip"},
      {"*;q=0", "identity"},
      {"gzip;q=0, *", "identity"},
      {"x-gzip", "gzip"},
      {"zstd, identity", "identity"},
      {"br;q=x", "identity"},
      {"br ; q=0.001", "br"},
      {"br;q=1.5", "br"},
      {"br;q=", "br"},
  };
  for (const auto& [in, out] : rows) {
    INFO(in);
    CHECK(normalise_accept_encoding(in) == out);
  }
}

TEST_CASE("vary: a variant is chosen by the request's values") {
  const Hash128 primary{1, 2};
  const std::vector<std::string> names = {"accept-encoding", "x-a"};
  const auto key = [&](const char* encoding, const char* a) {
    http::RequestHead head = get("/");
    if (encoding != nullptr) head.fields.add("accept-encoding", encoding);
    if (a != nullptr) head.fields.add("x-a", a);
    return variant_key(primary, names, head);
  };
  CHECK(variant_key(primary, {}, get("/")) == primary);
  CHECK(key("gzip, br", nullptr) == key("br, gzip, deflate", nullptr));
  CHECK(key("gzip, br", nullptr) != key("br", nullptr));  // which must never get gzip
  CHECK(key("gzip", nullptr) != key("br", nullptr));
  CHECK(key(nullptr, nullptr) == key("identity", nullptr));
  CHECK(key(nullptr, nullptr) != key(nullptr, ""));
  CHECK(key(nullptr, "a,b") == key(nullptr, "a ,  b"));
  CHECK(key(nullptr, "a") != key(nullptr, "b"));
  CHECK(key("br", nullptr) != primary);
}
