#include "core/net/signals.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

using namespace bw;
using namespace bw::net;

TEST_CASE("signals: arrive on the loop as calls, several of one kind as one") {
  block_signals({SIGUSR1, SIGUSR2});
  SystemClock clock;
  Loop loop(clock);
  std::vector<int> caught;
  Signals signals(loop, {SIGUSR1, SIGUSR2}, [&](int signal) { caught.push_back(signal); });
  ::raise(SIGUSR2);
  ::raise(SIGUSR1);
  ::raise(SIGUSR1);
  CHECK(caught.empty());
  for (int i = 0; i < 100 && caught.size() < 2; ++i) loop.turn(true);
  loop.turn();
  CHECK(caught == std::vector<int>{SIGUSR1, SIGUSR2});
}

TEST_CASE("signals: a child gets its usual delivery back") {
  block_signals({SIGUSR1});
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    unblock_all_signals();
    ::signal(SIGUSR1, SIG_DFL);
    ::raise(SIGUSR1);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGUSR1);
}

TEST_CASE("signals: a write to a peer that has gone is an error, no signal") {
  block_signals({});
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  ::close(fds[0]);
  CHECK(::write(fds[1], "x", 1) == -1);
  ::close(fds[1]);
}
