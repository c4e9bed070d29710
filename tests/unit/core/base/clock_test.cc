#include "core/base/clock.h"

#include <catch2/catch.hpp>
#include <set>

using namespace bw;
using std::chrono::milliseconds;

TEST_CASE("clock: the system's goes forward, and its wall is after 2020") {
  const SystemClock clock;
  const MonoTime before = clock.mono();
  CHECK(clock.mono() >= before);
  CHECK(before.ns > 0);
  CHECK(clock.wall().seconds() > 1'577'836'800);
}

TEST_CASE("clock: a test moves its own, both times together") {
  ManualClock clock;
  const MonoTime mono = clock.mono();
  const WallTime wall = clock.wall();
  CHECK(clock.mono() == mono);
  clock.advance(milliseconds(1500));
  CHECK(clock.mono() - mono == milliseconds(1500));
  CHECK(clock.wall().ms() - wall.ms() == 1500);
  clock.set_wall(WallTime{5'999'999'999});
  CHECK(clock.wall().seconds() == 5);
  CHECK(clock.wall().ms() == 5999);
  CHECK(clock.mono() - mono == milliseconds(1500));
}

TEST_CASE("clock: times add, subtract and compare") {
  const MonoTime t{1000};
  CHECK(t + Duration(5) == MonoTime{1005});
  CHECK(t - Duration(5) == MonoTime{995});
  CHECK((t + Duration(5)) - t == Duration(5));
  CHECK(t < t + Duration(1));
}

TEST_CASE("random: a seed gives the same numbers always, seeds differ") {
  SeededRandom a(1);
  SeededRandom again(1);
  SeededRandom other(2);
  CHECK(SeededRandom(0).next() == 0xe220a8397b1dcdafULL);  // splitmix64's first of seed 0
  const uint64_t first = a.next();
  CHECK(first == again.next());
  CHECK(first != other.next());
  CHECK(a.next() != first);
}

TEST_CASE("random: below() stays below, and reaches all") {
  SeededRandom random(3);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(10));
  CHECK(seen.size() == 10);
  CHECK(*seen.rbegin() == 9);
  for (int i = 0; i < 10; ++i) CHECK(random.below(1) == 0);
}

TEST_CASE("random: the kernel's doesn't repeat") {
  SystemRandom random;
  std::set<uint64_t> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random.next());
  CHECK(seen.size() == 100);
}
