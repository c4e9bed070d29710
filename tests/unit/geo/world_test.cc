#include "geo/world.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "core/base/clock.h"
#include "tests/unit/geo/geo_world.h"

using namespace bw;
using namespace bw::geo;

namespace {

dns::ClientSubnet subnet(std::string_view text) {
  const net::Network network = *net::Network::parse(text);
  dns::ClientSubnet subnet;
  subnet.family = network.base.v6 ? 2 : 1;
  subnet.source = network.length;
  subnet.address = network.base.bytes;
  return subnet;
}

const net::Ip kResolver = *net::Ip::parse("203.0.113.53");  // US

std::string first_pop(const World& world, const Whereabouts& where) {
  return world.pops[world.maps[0].lists[where.list].front()].name;
}

}  // namespace

TEST_CASE("map: networks beat countries beat continents beat the default; scopes are exact") {
  const auto world = make_world();
  struct Row {
    const char* subnet;
    const char* pop;
    unsigned scope;
  };
  for (const Row& row : {
           Row{"198.51.100.0/25", "fra1", 25},      // DE: default, cut off by the network
           Row{"198.51.100.128/25", "sin1", 25},    // a network
           Row{"198.51.100.0/24", "fra1", 25},      // scope may be longer than source
           Row{"203.0.113.0/24", "iad1", 24},       // US
           Row{"192.0.2.0/24", "sin1", 24},         // SG: continent AS
           Row{"198.18.0.0/24", "fra1", 20},        // FR: default; never wider than /20
           Row{"8.8.8.0/24", "fra1", 20},           // a gap
           Row{"10.9.7.0/24", "iad1", 20},          // private, but the database names it
           Row{"10.8.0.0/24", "iad1", 16},          // private: the resolver's place
           Row{"10.128.0.0/24", "iad1", 9},         // the private block around the hole
           Row{"127.0.0.0/24", "iad1", 8},          // private
           Row{"0.0.0.0/0", "iad1", 0},             // asked for no subnet
           Row{"2001:db8:a::/48", "iad1", 48},      // US
           Row{"2001:db8:b:11::/64", "iad1", 56},   // a network
           Row{"2001:db8:b:111::/64", "fra1", 56},  // beside it
           Row{"2a00::/48", "fra1", 36},
       }) {
    INFO(row.subnet);
    const dns::ClientSubnet client = subnet(row.subnet);
    const Whereabouts where = find_place(world->maps[0], &client, kResolver);
    CHECK(first_pop(*world, where) == row.pop);
    if (std::string_view(row.subnet) == "2001:db8:b:111::/64") {
      CHECK(unsigned(where.scope) >= 48);
    } else {
      CHECK(unsigned(where.scope) == row.scope);
    }
  }
  CHECK(first_pop(*world, find_place(world->maps[0], nullptr, kResolver)) == "iad1");
  CHECK(find_place(world->maps[0], nullptr, kResolver).scope == 0);
}

TEST_CASE("map: every address of a returned scope gets that answer, and scopes never overlap") {
  const auto world = make_world();
  const Health health = all_up(*world);
  const PlaceMap& map = world->maps[0];
  SeededRandom random(11);
  const std::vector<std::string> around = {"198.51.100.0", "203.0.113.0",  "192.0.2.0",
                                           "198.18.0.0",   "10.9.0.0",     "127.0.0.0",
                                           "2001:db8:a::", "2001:db8:b::", "fc00::"};
  std::set<std::pair<std::string, unsigned>> blocks;
  for (int i = 0; i < 6000; ++i) {
    net::Ip ip = *net::Ip::parse(around[random.below(around.size())]);
    const size_t width = ip.v6 ? 16 : 4;
    for (size_t b = random.below(width + 1); b < width; ++b) ip.bytes[b] = uint8_t(random.next());
    const uint8_t source = uint8_t(1 + random.below(width * 8));
    const dns::ClientSubnet asked = subnet(ip.text() + "/" + std::to_string(source));
    const Whereabouts where = find_place(map, &asked, kResolver);
    const Choice choice = choose(*world, health, map, where, false, 2);
    net::Ip in_scope;
    in_scope.v6 = ip.v6;
    in_scope.bytes = asked.address;
    for (unsigned bit = where.scope; bit < width * 8; ++bit) {
      const auto mask = uint8_t(0x80 >> (bit % 8));
      in_scope.bytes[bit / 8] =
          uint8_t((in_scope.bytes[bit / 8] & ~mask) | (random.below(2) != 0 ? mask : 0));
    }
    const dns::ClientSubnet other = subnet(in_scope.text() + "/" + std::to_string(width * 8));
    const Whereabouts there = find_place(map, &other, kResolver);
    INFO(ip.text() << " " << in_scope.text() << " scope " << int(where.scope));
    REQUIRE(there.scope == where.scope);
    const Choice same = choose(*world, health, map, there, false, 2);
    REQUIRE(same.addresses == choice.addresses);
  }
}

TEST_CASE("map: lists that are equal once expanded merge") {
  // DE names what the default names first; the rest follows from the default.
  std::string text(kWorld);
  const size_t at = text.find("countries = { US");
  text.replace(at, std::string("countries = { US = [\"iad1\"] }").size(),
               "countries = { US = [\"iad1\"], DE = [\"fra1\"] }");
  const auto world = make_world(text);
  const dns::ClientSubnet client = subnet("198.51.101.0/24");
  CHECK(world->maps[0].lists.size() == 3);
  CHECK(find_place(world->maps[0], &client, kResolver).scope == 24);
}

TEST_CASE("choice: sticky for a block, spread over blocks, and of good POPs only") {
  const auto world = make_world();
  const PlaceMap& map = world->maps[0];
  Health health = all_up(*world);
  std::map<std::string, int> first;
  for (int i = 0; i < 200; ++i) {
    const dns::ClientSubnet client = subnet("20." + std::to_string(i) + ".16.0/24");
    const Whereabouts where = find_place(map, &client, kResolver);
    const Choice choice = choose(*world, health, map, where, false, 2);
    CHECK(choice.count == 2);
    ++first[choice.addresses[0].text()];
    CHECK(choose(*world, health, map, where, false, 2).addresses == choice.addresses);
    // One address less: those who didn't have it first keep their first.
    Health less = health;
    less.up[0][0] = false;
    const Choice after = choose(*world, less, map, where, false, 2);
    if (choice.addresses[0].text() != "192.0.2.11") {
      CHECK(after.addresses[0] == choice.addresses[0]);
    }
  }
  CHECK(first.size() == 3);
  for (const auto& [address, count] : first) CHECK(count > 40);
}

TEST_CASE("choice: goes down the list, and answers although all is down") {
  const auto world = make_world();
  const PlaceMap& map = world->maps[0];
  Health health = all_up(*world);
  const Whereabouts where = find_place(map, nullptr, kResolver);  // iad1, fra1, sin1
  CHECK(choose(*world, health, map, where, false, 2).pop == 1);
  health.up[1] = {false, false};
  CHECK(choose(*world, health, map, where, false, 2).pop == 0);
  health.up[0] = {false, false, false, true};
  CHECK(choose(*world, health, map, where, false, 2).pop == 2);
  health.up[2] = {false};
  const Choice none = choose(*world, health, map, where, false, 2);
  CHECK(none.all_down);
  CHECK(none.pop == 1);
  CHECK(none.count == 2);
  // IPv6: the only POP that has it, wherever the client is.
  CHECK(choose(*world, health, map, where, true, 2).addresses[0].text() == "2001:db8:f::11");
}

TEST_CASE("choice: min_nodes asks for that many") {
  std::string text(kWorld);
  text.replace(text.find("[[map]]"), 0, "min_nodes = 1\n");
  text.replace(text.find("name = \"iad1\""), 0, "min_nodes = 2\n");
  const auto world = make_world(text);
  Health health = all_up(*world);
  health.up[1] = {true, false};
  const Whereabouts where = find_place(world->maps[0], nullptr, kResolver);
  CHECK(choose(*world, health, world->maps[0], where, false, 2).pop == 0);
}

TEST_CASE("world: what tables disagree on is told with its line") {
  struct Row {
    const char* from;
    const char* to;
    const char* error;
  };
  for (const Row& row : {
           Row{"default = [\"fra1\"", "default = [\"fra2\"",
               "map.default: found fra2; allowed: names of [[pop]] (nearest: fra1)"},
           Row{"default = [\"fra1\", \"iad1\", \"sin1\"]", "default = [\"nearest\"]",
               "names of POPs (\"nearest\" needs coordinates, which don't exist yet)"},
           Row{"US = ", "us = ", "found us; allowed: two capital letters"},
           Row{"AS = ", "XX = ", "found XX; allowed: AF AN AS EU NA OC SA"},
           Row{"\"198.51.100.128/25\"", "\"198.51.100.128/33\"", "networks as 198.51.100.0/24"},
           Row{"/56\"", "/65\"", "IPv6 networks of at most 64 bits"},
           Row{"map = \"world\"", "map = \"word\"",
               "zone.edge.map: found word; allowed: the name of a [[map]] (nearest: world)"},
           Row{"[\"192.0.2.53\"]", "[\"192.0.2\"]", "found \"192.0.2\"; allowed: an IPv4 address"},
           Row{"'0 issue", "'300 issue", "FLAGS TAG \"VALUE\""},
           Row{"name = \"ns1\"", "name = \"www\"", "addresses from the map or from records"},
           Row{"name = \"static\"", "name = \"alias\"", "a CNAME alone at its name"},
           Row{"name = \"static\"", "name = \"ns1\"", "one table a name and type"},
           Row{"name = \"sin1\"", "name = \"fra1\"", "pop.name: found fra1 twice"},
           Row{"addresses = [\"192.0.2.31\"]", "addresses = []", "at least one address"},
           Row{"serial = 7", "coordinates = 7", "coordinates"},
       }) {
    std::string text(kWorld);
    const size_t at = text.find(row.from);
    REQUIRE(at != std::string::npos);
    text.replace(at, std::string_view(row.from).size(), row.to);
    GeodnsSettings settings;
    Diagnostics diagnostics = load(text, settings);
    (void)compile_world(settings, make_locator(kCountries), {dns::CookieSecret{}}, diagnostics);
    INFO(all_errors(diagnostics));
    CHECK(all_errors(diagnostics).find(row.error) != std::string::npos);
    CHECK(all_errors(diagnostics).find("geo.toml:") != std::string::npos);
  }
}
