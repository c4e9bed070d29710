#include "purge/receipt.h"

#include <catch2/catch.hpp>

#include "purge/item_rate.h"
#include "purge/token.h"

using namespace bw;
using namespace bw::purge;
using std::chrono::seconds;

namespace {
MonoTime at(int64_t s) { return MonoTime{0} + Duration(seconds(s)); }
NodeStanding node(const char* name, bool shield, uint64_t applied, int64_t echo) {
  NodeStanding n;
  n.name = name;
  n.shield = shield;
  n.applied = Position::of(1, applied);
  n.last_echo = at(echo);
  n.lag_limit = seconds(5);
  return n;
}
const Position kLast = Position::of(1, 10);
}  // namespace

TEST_CASE("receipt: a silent node is a laggard until it must have fenced itself") {
  struct Row {
    int64_t echo, durable, now;
    bool fences;
    Delivery expected;
  };
  const Row rows[] = {
      {100, 100, 104, true, Delivery::lagging},   // may still hit
      {100, 100, 105, true, Delivery::lagging},   // fenced now, but what it validated lives on
      {100, 100, 110, true, Delivery::fenced},    // lag_limit after the fence
      {100, 108, 110, true, Delivery::lagging},   // durable later than the fence
      {100, 108, 113, true, Delivery::fenced},    //
      {100, 100, 500, false, Delivery::lagging},  // on_lag = "serve" never fences
  };
  for (const Row& row : rows) {
    CAPTURE(row.echo, row.durable, row.now, row.fences);
    NodeStanding n = node("a", false, 9, row.echo);
    n.fences = row.fences;
    CHECK(make_receipt({n}, kLast, at(row.durable), at(row.now)).nodes[0].state == row.expected);
  }
}

TEST_CASE("receipt: with a shield the fence takes a second lag limit, and covers the edges") {
  const auto shield = node("s", true, 9, 100);
  const auto edge = node("e", false, 10, 120);
  auto receipt = make_receipt({shield, edge}, kLast, at(100), at(110));
  CHECK(receipt.nodes[0].state == Delivery::lagging);
  CHECK(receipt.nodes[1].state == Delivery::applied);
  receipt = make_receipt({shield, edge}, kLast, at(100), at(115));
  CHECK(receipt.nodes[0].state == Delivery::fenced);
  CHECK(receipt.nodes[1].state == Delivery::fenced);
  CHECK(receipt.nodes[1].applied);
}

TEST_CASE("receipt: waits are met by all, or by the shields") {
  const auto shield = node("s", true, 10, 100);
  const auto edge = node("e", false, 9, 100);
  const auto receipt = make_receipt({shield, edge}, kLast, at(100), at(101));
  CHECK(receipt.met(Wait::none));
  CHECK(receipt.met(Wait::shield));
  CHECK_FALSE(receipt.met(Wait::all));
  CHECK(make_receipt({}, kLast, at(100), at(101)).met(Wait::all));
}

TEST_CASE("receipt: a node on another history has applied nothing of this one") {
  auto n = node("a", false, 99, 100);
  n.on_history = false;
  CHECK_FALSE(make_receipt({n}, kLast, at(100), at(101)).nodes[0].applied);
}

TEST_CASE("rate: items are counted, and the reserve is for everything") {
  ItemRate rate({10, seconds(1)}, 20, 5);
  CHECK_FALSE(rate.take(15, false, at(1)));
  CHECK(rate.take(1, false, at(1)));
  CHECK_FALSE(rate.take(1, true, at(1)));
  CHECK_FALSE(rate.take(10, false, at(3)));
  ItemRate big({10, seconds(1)}, 20, 5);
  CHECK_FALSE(big.take(500, false, at(1)));  // a full bucket lets one of any size pass
  CHECK(big.take(500, false, at(2)));
}

TEST_CASE("token: found by secret only, allowed by scope and site") {
  Token token{"ops", sha256("s3cret"), {"shop"}, scope_url | scope_read};
  const std::vector<Token> tokens = {token};
  REQUIRE(find_token(tokens, "s3cret") != nullptr);
  for (const char* bad : {"", "s3cre", "s3crets", "Bearer s3cret"}) {
    CAPTURE(bad);
    CHECK(find_token(tokens, bad) == nullptr);
  }
  CHECK(token.allows(scope_url));
  CHECK_FALSE(token.allows(scope_all));
  CHECK(token.allows_site("shop"));
  CHECK_FALSE(token.allows_site("shop2"));
  CHECK(scope_of(Kind::host) == scope_prefix);
  CHECK(scope_of(Kind::all) == scope_all);
  CHECK(parse_token_hash("sha256:" + hex({reinterpret_cast<const char*>(token.hash.data()), 32})) ==
        token.hash);
  CHECK_FALSE(parse_token_hash("sha256:00"));
}
