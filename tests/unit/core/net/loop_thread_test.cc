#include "core/net/loop_thread.h"

#include <catch2/catch.hpp>
#include <thread>

#include "core/base/executor.h"

using namespace bw;
using namespace bw::net;

TEST_CASE("loop thread: runs tasks on its own thread, and waits for them when asked") {
  SystemClock clock;
  LoopThread thread("a name longer than the kernel's 15 bytes", clock);
  CHECK_FALSE(thread.loop().on_thread());
  std::thread::id id;
  bool may_block = true;
  thread.run_and_wait([&] {
    id = std::this_thread::get_id();
    may_block = thread_may_block();
    CHECK(Loop::current() == &thread.loop());
  });
  CHECK(id != std::this_thread::get_id());
  CHECK(id != std::thread::id());
  CHECK_FALSE(may_block);
}

TEST_CASE("loop thread: its timers fire without anyone asking") {
  SystemClock clock;
  LoopThread thread("timer", clock);
  std::unique_ptr<Timer> timer;
  std::atomic<bool> fired{false};
  thread.run_and_wait([&] {
    timer = std::make_unique<Timer>(thread.loop(), [&] { fired = true; });
    timer->arm(std::chrono::milliseconds(1));
  });
  while (!fired) thread.run_and_wait([] {});
  thread.run_and_wait([&] { timer.reset(); });
}

TEST_CASE("loop thread: two of them post to each other while they end") {
  SystemClock clock;
  int bounces = 0;
  for (int round = 0; round < 20; ++round) {
    LoopThread left("left", clock);
    {
      LoopThread right("right", clock);
      for (int i = 0; i < 50; ++i) {
        left.loop().post([&] { right.loop().post([&] { left.loop().post([&] { ++bounces; }); }); });
      }
      left.run_and_wait([] {});  // left no longer posts to right
    }
    left.run_and_wait([] {});
  }
  CHECK(bounces > 0);
}
