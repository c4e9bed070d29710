#include "core/net/program_settings.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::net;

TEST_CASE("settings: a node's name and a listener's address") {
  for (const char* good : {"a", "fra1-a", "Z9._-", "purged"}) CHECK(node_name_rule(good).empty());
  for (const std::string& bad : {std::string(), std::string("1a"), std::string("-a"),
                                 std::string("a b"), std::string(65, 'a')}) {
    CAPTURE(bad);
    CHECK_FALSE(node_name_rule(bad).empty());
  }
  CHECK(node_name_rule(default_node_name()).empty());
  for (const char* good : {"127.0.0.1:0", "[::1]:443", "unix:a.sock", "fd:web"}) {
    CHECK(address_rule(good).empty());
  }
  for (const char* bad : {"", "localhost", "127.0.0.1", "https://127.0.0.1:1"}) {
    CAPTURE(bad);
    CHECK_FALSE(address_rule(bad).empty());
  }
}

TEST_CASE("flags: listeners and sites as the settings they stand for") {
  const Tree listen = listen_flags({"127.0.0.1:1", "http://127.0.0.1:2", "https://127.0.0.1:3"});
  REQUIRE(listen.items.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(listen.items[i].find("address")->text == "127.0.0.1:" + std::to_string(i + 1));
    CHECK((listen.items[i].find("tls") != nullptr) == (i == 2));
  }
  Diagnostics diagnostics;
  const std::optional<Tree> site = site_flag("shop=a.example,b.example", diagnostics);
  REQUIRE(site);
  CHECK(site->find("name")->text == "shop");
  REQUIRE(site->find("hosts")->items.size() == 2);
  CHECK(site->find("hosts")->items[1].text == "b.example");
  CHECK(diagnostics.ok());
  for (const char* bad : {"shop", "=a", "shop="}) {
    CAPTURE(bad);
    Diagnostics told;
    CHECK_FALSE(site_flag(bad, told));
    CHECK(told.errors().size() == 1);
  }
}
