#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "core/net/loop.h"

using namespace bw;
using namespace bw::net;

namespace {

struct Pair {
  int fds[2];
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0); }
  ~Pair() {
    ::close(fds[0]);
    if (fds[1] >= 0) ::close(fds[1]);
  }
  void send() { REQUIRE(::write(fds[1], "x", 1) == 1); }
  void close_other() {
    ::close(fds[1]);
    fds[1] = -1;
  }
};

}  // namespace

TEST_CASE("watch: tells what is wanted, again and again, and nothing else") {
  ManualClock clock;
  Loop loop(clock);
  Pair pair;
  std::vector<int> seen;
  Watch watch(loop, pair.fds[0], [&](uint8_t events) { seen.push_back(events); });
  const auto turn = [&] {
    seen.clear();
    loop.turn();
    return seen;
  };
  using Seen = std::vector<int>;
  pair.send();
  CHECK(turn().empty());
  watch.want(Watch::readable);
  CHECK(turn() == Seen{Watch::readable});
  CHECK(turn() == Seen{Watch::readable});  // nobody read it
  watch.want(Watch::writable);
  CHECK(turn() == Seen{Watch::writable});
  watch.want(0);
  CHECK(turn().empty());
  watch.want(Watch::readable | Watch::writable);
  int both = 0;
  for (const int events : turn()) both |= events;
  CHECK(both == (Watch::readable | Watch::writable));
}

TEST_CASE("watch: an arrival is told once, until something new comes") {
  ManualClock clock;
  Loop loop(clock);
  Pair pair;
  int told = 0;
  Watch watch(loop, pair.fds[0], [&](uint8_t events) {
    CHECK(events == Watch::arrival);
    ++told;
  });
  watch.want(Watch::arrival);
  loop.turn();
  CHECK(told == 0);
  pair.send();
  loop.turn();
  loop.turn();
  CHECK(told == 1);
  pair.send();
  loop.turn();
  CHECK(told == 2);
  pair.close_other();
  loop.turn();
  loop.turn();
  CHECK(told == 3);
}

TEST_CASE("watch: what is wanted may change inside the callback, and the watch be retired") {
  ManualClock clock;
  Loop loop(clock);
  Pair pair;
  int told = 0;
  std::unique_ptr<Watch> watch;
  watch = std::make_unique<Watch>(loop, pair.fds[0], [&](uint8_t) {
    ++told;
    watch->want(told == 1 ? Watch::writable : 0);
    if (told == 2) loop.retire(std::move(watch));
  });
  watch->want(Watch::readable);
  pair.send();
  for (int i = 0; i < 6; ++i) loop.turn();
  CHECK(told == 2);
}
