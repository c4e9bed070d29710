#include "edge/upstream/balance.h"

#include <catch2/catch.hpp>
#include <vector>

#include "core/base/clock.h"

using namespace bw::edge;

TEST_CASE("balance: round robin visits each member that is up") {
  std::vector<MemberView> members(3);
  members[1].ejected = true;
  std::vector<int> hits(3);
  for (uint64_t turn = 0; turn < 10; ++turn) {
    ++hits[*pick_member(members, {.balance = Balance::round_robin, .turn = turn})];
  }
  CHECK(hits == std::vector<int>{5, 0, 5});
}

TEST_CASE("balance: least requests weighs what is in flight") {
  std::vector<MemberView> members(3);
  members[0].inflight = 4;
  members[1] = {.weight = 4, .inflight = 8};
  members[2].inflight = 3;
  for (uint64_t random = 0; random < 9; ++random) {
    CHECK(*pick_member(members, {.random = random}) == 1);
  }
}

TEST_CASE("balance: a lower priority is used only when the ones before it are out") {
  std::vector<MemberView> members(2);
  members[1].priority = 1;
  CHECK(*pick_member(members, {}) == 0);
  members[0].ejected = true;
  CHECK(*pick_member(members, {}) == 1);
}

TEST_CASE("balance: when all are ejected all are tried rather than none") {
  std::vector<MemberView> members(2);
  members[0].ejected = members[1].ejected = true;
  CHECK(pick_member(members, {}).has_value());
}

TEST_CASE("balance: what was tried and what drains is never picked") {
  std::vector<MemberView> members(2);
  members[0].tried = true;
  members[1].drain = true;
  CHECK_FALSE(pick_member(members, {}).has_value());
}

TEST_CASE("balance: rendezvous moves only the keys of the member that went") {
  bw::SeededRandom random(7);
  std::vector<MemberView> members(5);
  for (MemberView& m : members) m.id = random.next();
  int moved = 0;
  std::vector<int> share(5);
  for (int i = 0; i < 5000; ++i) {
    const uint64_t key = random.next();
    members[2].ejected = false;
    const size_t before = *pick_member(members, {.balance = Balance::hash, .key_hash = key});
    members[2].ejected = true;
    const size_t after = *pick_member(members, {.balance = Balance::hash, .key_hash = key});
    ++share[before];
    if (before != after) {
      ++moved;
      CHECK(before == 2);
    }
  }
  CHECK(moved == share[2]);
  for (const int n : share) CHECK((n > 800 && n < 1200));
}

TEST_CASE("balance: weights share out draws") {
  std::vector<MemberView> members(2);
  members[0].weight = 3;
  std::vector<int> hits(2);
  for (uint64_t r = 0; r < 400; ++r) {
    ++hits[*pick_member(members, {.balance = Balance::weighted, .random = r})];
  }
  CHECK(hits == std::vector<int>{300, 100});
}
