#include "edge/upstream/group.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::edge;
using namespace std::chrono_literals;

namespace {

MemberSettings member(uint16_t port) {
  MemberSettings m;
  m.target.address = net::Address(net::Ip{.bytes = {127, 0, 0, 1}}, port);
  return m;
}

std::string state_of(const Group& group, size_t i, MonoTime now) {
  return group.status(now)[i].state;
}

void fail(Group& group, uint64_t other, MonoTime now) {
  auto ticket = group.pick(now, 0, 0, {other});
  REQUIRE(ticket);
  ticket->failed(now);
}

}  // namespace

TEST_CASE("group: out after five failures in a row, back after ten seconds, then twice as long") {
  ManualClock clock;
  auto group = Group::make({}, {member(1), member(2)});
  auto second = group->pick(clock.mono(), 0, 1, {});
  const uint64_t other = second->member_id();
  const size_t victim = second->address() == "127.0.0.1:2" ? 0 : 1;
  second.reset();
  for (int i = 0; i < 4; ++i) fail(*group, other, clock.mono());
  CHECK(state_of(*group, victim, clock.mono()) == "up");
  fail(*group, other, clock.mono());
  CHECK(state_of(*group, victim, clock.mono()) == "ejected");
  for (uint64_t r = 0; r < 8; ++r) {
    CHECK(group->pick(clock.mono(), 0, r, {})->member_id() == other);
  }
  clock.advance(10s);
  CHECK(state_of(*group, victim, clock.mono()) == "up");
  for (int i = 0; i < 5; ++i) fail(*group, other, clock.mono());
  clock.advance(19s);
  CHECK(state_of(*group, victim, clock.mono()) == "ejected");
  clock.advance(1s);
  CHECK(state_of(*group, victim, clock.mono()) == "up");
}

TEST_CASE("group: a success between failures starts the count anew") {
  ManualClock clock;
  auto group = Group::make({}, {member(1)});
  for (int i = 0; i < 20; ++i) {
    auto ticket = group->pick(clock.mono(), 0, 0, {});
    if (i % 5 == 4) {
      ticket->succeeded(clock.mono());
    } else {
      ticket->failed(clock.mono());
    }
  }
  CHECK(state_of(*group, 0, clock.mono()) == "up");
}

TEST_CASE("group: at most half of the members are ejected") {
  ManualClock clock;
  auto group = Group::make({.eject_after = 1}, {member(1), member(2), member(3), member(4)});
  for (uint64_t i = 0; i < 40; ++i) {
    auto ticket = group->pick(clock.mono(), 0, i, {});
    ticket->failed(clock.mono());
  }
  int out = 0;
  for (const MemberStatus& row : group->status(clock.mono())) out += row.state == "ejected";
  CHECK(out == 2);
}

TEST_CASE("group: the budget admits as many fetches as it says, and the next in line follow") {
  ManualClock clock;
  net::Loop loop(clock);
  auto group = Group::make({.concurrency = 2, .queue = 2}, {member(1)});
  std::shared_ptr<Group::Waiter> first, second, third;
  std::string granted;
  const auto admit = [&](std::shared_ptr<Group::Waiter>* waiter, char name) {
    return group->admit(
        loop, [&granted, name] { granted += name; }, waiter);
  };
  CHECK(admit(&first, 'a') == Group::Admission::granted);
  CHECK(admit(&first, 'b') == Group::Admission::granted);
  CHECK(admit(&first, 'c') == Group::Admission::queued);
  CHECK(admit(&second, 'd') == Group::Admission::queued);
  CHECK(admit(&third, 'e') == Group::Admission::refused);
  CHECK(group->inflight() == 2);
  first.reset();
  group->give_back();
  loop.turn();
  CHECK(granted == "d");
  CHECK(group->inflight() == 2);
  group->give_back();
  group->give_back();
  CHECK(group->inflight() == 0);
}

TEST_CASE("group: a slot granted to one who has just left goes on") {
  ManualClock clock;
  net::Loop loop(clock);
  auto group = Group::make({.concurrency = 1}, {member(1)});
  std::shared_ptr<Group::Waiter> waiter;
  bool granted = false;
  const auto call = [&] { granted = true; };
  CHECK(group->admit(loop, call, &waiter) == Group::Admission::granted);
  CHECK(group->admit(loop, call, &waiter) == Group::Admission::queued);
  group->give_back();
  waiter.reset();
  loop.turn();
  CHECK_FALSE(granted);
  CHECK(group->inflight() == 0);
}

TEST_CASE("group: retries are a share of requests") {
  auto group = Group::make({.retry_budget = 0.1}, {member(1)});
  int retried = 0;
  while (group->may_retry()) ++retried;
  CHECK(retried == 10);
  for (int i = 0; i < 100; ++i) group->count_request();
  retried = 0;
  while (group->may_retry()) ++retried;
  CHECK(retried == 10);
}

TEST_CASE("group: members that stay keep their health when a name is resolved again") {
  ManualClock clock;
  auto group = Group::make({.eject_after = 1}, {member(1)});
  group->pick(clock.mono(), 0, 0, {})->failed(clock.mono());
  REQUIRE(state_of(*group, 0, clock.mono()) == "ejected");
  group->replace_members({member(1), member(2)});
  CHECK(state_of(*group, 0, clock.mono()) == "ejected");
  CHECK(state_of(*group, 1, clock.mono()) == "up");
}
