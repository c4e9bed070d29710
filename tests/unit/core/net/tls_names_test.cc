#include "core/net/tls_names.h"

#include <catch2/catch.hpp>

using namespace bw::net;

TEST_CASE("certificate names: the name in an authority") {
  const struct {
    const char* authority;
    const char* name;
  } rows[] = {
      {"www.example.test", "www.example.test"},
      {"WWW.Example.TEST.", "www.example.test"},
      {"www.example.test:443", "www.example.test"},
      {"www.example.test.:8443", "www.example.test"},
      {"192.0.2.1:80", "192.0.2.1"},
      {"[2001:DB8::0:1]:443", "2001:db8::1"},
      {"[2001:db8::1]", "2001:db8::1"},
      {"2001:db8::1", "2001:db8::1"},
      {"[broken", "broken"},
      {"", ""},
      {".", ""},
      {":", ""},
  };
  for (const auto& row : rows) {
    INFO(row.authority);
    CHECK(name_of_authority(row.authority) == row.name);
  }
}

TEST_CASE("certificate names: exact, then one-label wildcard, then default, then first") {
  CertificateNames names;
  names.add({"a.test", "*.a.test", "192.0.2.1"}, false);
  names.add({"b.a.test", "*.c.test"}, true);
  names.add({"a.test", "*.a.test", "d.test"}, true);
  const struct {
    const char* sni;
    size_t index;
  } rows[] = {
      {"a.test", 0},  {"A.TEST", 0}, {"b.a.test", 1},  {"x.a.test", 0}, {"x.y.a.test", 1},
      {"d.test", 2},  {"c.test", 1}, {"*.a.test", 0},  {"", 1},         {"elsewhere.test", 1},
      {".a.test", 1}, {"a", 1},      {"192.0.2.1", 0}, {"x.c.test", 1}, {"192.0.2.2", 1},
  };
  for (const auto& row : rows) {
    INFO(row.sni);
    CHECK(names.find(row.sni) == row.index);
  }
  CertificateNames without_default;
  without_default.add({"a.test"}, false);
  without_default.add({"b.test"}, false);
  CHECK(without_default.find("c.test") == 0);
}

TEST_CASE("certificate names: both names need a common certificate") {
  CertificateNames names;
  names.add({"a.test", "b.test", "*.shop.test"}, false);
  names.add({"b.test", "c.test", "2001:db8::1"}, false);
  const struct {
    const char* sni;
    const char* authority;
    bool hold;
  } rows[] = {
      {"a.test", "a.test:443", true},
      {"a.test", "B.test", true},
      {"b.test", "c.test", true},
      {"a.test", "c.test", false},
      {"x.shop.test", "y.shop.test", true},
      {"x.shop.test", "a.test", true},
      {"a.test", "x.y.shop.test", false},
      {"", "c.test", true},
      {"unknown.test", "unknown.test", true},
      {"unknown.test", "a.test", false},
      {"c.test", "[2001:db8::1]:8443", true},
  };
  for (const auto& row : rows) {
    INFO(row.sni << " and " << row.authority);
    CHECK(names.hold_both(row.sni, row.authority) == row.hold);
  }
}
