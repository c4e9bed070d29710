#include "edge/guard/client_address.h"

#include <catch2/catch.hpp>

#include "edge/guard/access.h"
#include "edge/guard/pattern.h"

using namespace bw;
using namespace bw::edge;

TEST_CASE("client address: the rightmost that isn't trusted, from trusted peers only") {
  struct Row {
    const char* field;
    const char* peer;
    const char* value;
    const char* client;
  };
  const Row rows[] = {
      {"x-forwarded-for", "192.0.2.9:1", "198.51.100.1", "192.0.2.9"},
      {"x-forwarded-for", "10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
      {"x-forwarded-for", "10.0.0.1:1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
      {"x-forwarded-for", "10.0.0.1:1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
      {"x-forwarded-for", "10.0.0.1:1", "6.6.6.6, junk, 10.0.0.2", "10.0.0.2"},
      {"x-forwarded-for", "10.0.0.1:1", "", "10.0.0.1"},
      {"x-forwarded-for", "10.0.0.1:1", "198.51.100.1:4711", "198.51.100.1"},
      {"x-forwarded-for", "10.0.0.1:1", "[2001:db8::1]:4711", "2001:db8::1"},
      {"x-forwarded-for", "10.0.0.1:1", "2001:db8::1", "2001:db8::1"},
      {"x-forwarded-for", "unix:/run/x", "198.51.100.1", "127.0.0.1"},
      {"x-real-ip", "10.0.0.1:1", "198.51.100.7", "198.51.100.7"},
      {"forwarded", "10.0.0.1:1", "for=6.6.6.6, For=\"[2001:db8::1]:99\";proto=http;by=x",
       "2001:db8::1"},
      {"forwarded", "10.0.0.1:1", "for=198.51.100.1;host=\"a,b;for=6.6.6.6\"", "198.51.100.1"},
      {"forwarded", "10.0.0.1:1", "for=_hidden", "10.0.0.1"},
      {"forwarded", "10.0.0.1:1", "proto=https", "10.0.0.1"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.value, row.peer);
    ClientAddressRule rule;
    rule.trusted = {*net::Network::parse("10.0.0.0/8")};
    rule.field = row.field;
    http::FieldList fields;
    fields.add(row.field, row.value);
    CHECK(client_address(rule, *net::Address::parse(row.peer), fields).text() == row.client);
  }
}

TEST_CASE("access: deny wins, and a list of allowed lets in only those") {
  AccessRules rules;
  const ClientFacts client{*net::Ip::parse("192.0.2.7"), "DE", 64500};
  CHECK(rules.admits(client));
  CHECK(rules.allow.add("country:fr").ok());
  CHECK_FALSE(rules.admits(client));
  CHECK(rules.allow.add("asn:64500").ok());
  CHECK(rules.admits(client));
  CHECK(rules.deny.add("192.0.2.0/24").ok());
  CHECK_FALSE(rules.admits(client));
  for (const char* bad : {"country:", "country:DEU", "asn:0", "asn:x", "asn:99999999999", "junk"}) {
    CHECK_FALSE(rules.allow.add(bad).ok());
  }
}

TEST_CASE("patterns: a star is any bytes") {
  CHECK(path_matches("/static/*", "/static/a/b"));
  CHECK_FALSE(path_matches("/static/*", "/statix"));
  CHECK(path_matches("*.css", "/a.css"));
  CHECK(path_matches("/a*b*c", "/aXbYbZc"));
  CHECK_FALSE(path_matches("/a*b*c", "/aXc"));
  CHECK(path_matches("/a?b", "/a?b"));
  CHECK_FALSE(path_matches("/a", "/ab"));
  CHECK(any_path_matches({}, "/x"));
}
