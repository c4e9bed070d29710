#include "geo/health.h"

#include <catch2/catch.hpp>

#include "geo/rate_table.h"

using namespace bw;
using namespace bw::geo;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

MonoTime at(int64_t s) { return MonoTime{} + seconds(s); }

std::vector<Pop> pops() {
  Pop a{.name = "a",
        .addresses = {*net::Ip::parse("192.0.2.1"), *net::Ip::parse("192.0.2.2")},
        .min_nodes = 1,
        .probe = ProbeUrl{}};
  Pop b{.name = "b",
        .addresses = {*net::Ip::parse("192.0.2.3")},
        .min_nodes = 1,
        .probe = ProbeUrl{}};
  return {a, b};
}

}  // namespace

TEST_CASE("health: up until the first result, and up at the first success") {
  AddressHealth health;
  CHECK(health.up());
  CHECK(health.probed(false, at(1)));
  CHECK_FALSE(health.up());
  CHECK(health.probed(true, at(2)));
  CHECK(health.up());
}

TEST_CASE("health: down on three in a row or three of five") {
  for (const auto& [results, up] : std::vector<std::pair<std::string, bool>>{{"+--", true},
                                                                             {"+---", false},
                                                                             {"+-+-+-", false},
                                                                             {"+-+--", false},
                                                                             {"+--+++--", true},
                                                                             {"+-++-++-", true},
                                                                             {"+--++-", false}}) {
    AddressHealth health;
    int64_t second = 0;
    for (const char c : results) health.probed(c == '+', at(++second));
    INFO(results);
    CHECK(health.up() == up);
  }
}

TEST_CASE("health: comes back after 20 s clean, doubling while it flaps, to 10 min") {
  AddressHealth health;
  int64_t now = 0;
  health.probed(true, at(now));
  std::vector<int64_t> holds;
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 3; ++i) health.probed(false, at(++now));
    REQUIRE_FALSE(health.up());
    const int64_t from = ++now;
    while (!health.up()) health.probed(true, at(now++));
    holds.push_back(now - 1 - from);
  }
  CHECK(holds == std::vector<int64_t>{20, 40, 80, 160, 320, 600, 600, 600});
  // Long clean: the next fall starts at 20 s again.
  now += 3600;
  for (int i = 0; i < 3; ++i) health.probed(false, at(++now));
  CHECK(health.hold() == AddressHealth::kHold);
}

TEST_CASE("health: a failure while it waits starts the wait again") {
  AddressHealth health;
  health.probed(true, at(0));
  for (int i = 1; i < 4; ++i) health.probed(false, at(i));
  for (int i = 4; i < 20; ++i) health.probed(true, at(i));
  health.probed(false, at(20));
  for (int i = 21; i < 41; ++i) health.probed(true, at(i));
  CHECK_FALSE(health.up());
  CHECK(health.probed(true, at(41)));
}

TEST_CASE("health board: the registry's word counts for its addresses, or for the POP") {
  HealthBoard board(pops(), nullptr);
  const auto nodes = [](std::string_view json) {
    const auto parsed = parse_nodes(json);
    REQUIRE(parsed.ok());
    return *parsed;
  };
  CHECK_FALSE(board.registered({}));
  CHECK(board.registered(nodes(R"({"nodes":[
    {"name":"a1","pop":"a","role":"edge","addresses":["192.0.2.1:443"],"ready":false},
    {"name":"a2","pop":"a","role":"edge","addresses":["192.0.2.2"],"ready":true},
    {"name":"b1","pop":"b","role":"edge","addresses":["127.0.0.1:1"],"ready":false},
    {"name":"s","pop":"b","role":"shield","addresses":[],"ready":true}]})")));
  CHECK(board.view().up == std::vector<std::vector<bool>>{{false, true}, {false}});
  CHECK(board.registered({}));
  CHECK(board.view().up == std::vector<std::vector<bool>>{{true, true}, {true}});
  CHECK_FALSE(parse_nodes("{}").ok());
  CHECK_FALSE(parse_nodes("[").ok());
  CHECK(parse_nodes(R"({"nodes":[1,{"addresses":[1]}]})").ok());
}

TEST_CASE("health board: what is down is remembered, by a restart and by a reload") {
  HealthBoard board(pops(), nullptr);
  CHECK(board.probed(1, 0, false, at(1)));
  HealthBoard restarted(pops(), nullptr);
  restarted.restore(board.encode());
  CHECK(restarted.view().up == board.view().up);
  restarted.restore("{nonsense");
  std::vector<Pop> others = pops();
  std::swap(others[0], others[1]);
  HealthBoard reloaded(others, &board);
  CHECK(reloaded.view().up == std::vector<std::vector<bool>>{{false}, {true, true}});
}

TEST_CASE("rate table: a network gets its rate and no more; others are not concerned") {
  RateTable table({20, seconds(1)}, 5);
  ManualClock clock;
  const net::Ip a = *net::Ip::parse("192.0.2.1");
  const net::Ip same = *net::Ip::parse("192.0.2.200");
  const net::Ip other = *net::Ip::parse("192.0.3.1");
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += table.allow(i % 2 != 0 ? a : same, clock.mono()) ? 1 : 0;
  CHECK(allowed == 20);
  CHECK(table.allow(other, clock.mono()));
  clock.advance(seconds(1));
  allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += table.allow(a, clock.mono()) ? 1 : 0;
  CHECK(allowed >= 19);
  CHECK(allowed <= 20);
  const net::Ip v6 = *net::Ip::parse("2001:db8:0:1ff::1");
  const net::Ip v6_same = *net::Ip::parse("2001:db8:0:1aa::1");
  for (int i = 0; i < 20; ++i) CHECK(table.allow(v6, clock.mono()));
  CHECK_FALSE(table.allow(v6_same, clock.mono()));
  RateTable off({0, seconds(1)}, 5);
  for (int i = 0; i < 1000; ++i) CHECK(off.allow(a, clock.mono()));
}
