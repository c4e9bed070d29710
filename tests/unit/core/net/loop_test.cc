#include "core/net/loop.h"

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/base/executor.h"

using namespace bw;
using namespace bw::net;
using std::chrono::milliseconds;

TEST_CASE("loop: posted tasks run in order in a later turn, those of a turn's end in it") {
  ManualClock clock;
  Loop loop(clock);
  std::string order;
  loop.post([&] {
    order += 'a';
    loop.post([&] { order += 'd'; });
    loop.at_turn_end([&] {
      order += 'c';
      loop.at_turn_end([&] { order += '!'; });
    });
  });
  loop.post([&] { order += 'b'; });
  CHECK(order.empty());
  loop.turn();
  CHECK(order == "abc!");
  loop.turn();
  CHECK(order == "abc!d");
}

TEST_CASE("loop: what is retired goes in the next turn, and with the loop at the latest") {
  ManualClock clock;
  auto loop = std::make_unique<Loop>(clock);
  int alive = 0;
  struct Counted {
    int& count;
    explicit Counted(int& c) : count(c) { ++count; }
    ~Counted() { --count; }
  };
  loop->post([&] {
    loop->retire(std::make_unique<Counted>(alive));
    CHECK(alive == 1);
  });
  loop->turn();
  CHECK(alive == 1);
  loop->turn();
  CHECK(alive == 0);
  loop->retire(std::make_unique<Counted>(alive));
  loop->retire(std::unique_ptr<Counted>());
  loop.reset();
  CHECK(alive == 0);
}

TEST_CASE("loop: time stands still within a turn") {
  ManualClock clock;
  Loop loop(clock);
  loop.post([&] {
    const MonoTime before = loop.now();
    const WallTime wall = loop.wall();
    clock.advance(milliseconds(5));
    CHECK(loop.now() == before);
    CHECK(loop.wall() == wall);
  });
  loop.turn();
  CHECK(loop.now() == clock.mono());
  CHECK(loop.wall() == clock.wall());
}

TEST_CASE("loop: tasks of many threads all run, on the loop's thread") {
  SystemClock clock;
  Loop loop(clock);
  constexpr int kThreads = 4;
  constexpr int kTasks = 2000;
  int ran = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kTasks; ++i) {
        loop.post([&] {
          CHECK(Loop::current() == &loop);
          CHECK(loop.on_thread());
          CHECK_FALSE(thread_may_block());
          if (++ran == kThreads * kTasks) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (std::thread& thread : threads) thread.join();
  CHECK(ran == kThreads * kTasks);
  CHECK(Loop::current() == nullptr);
  CHECK(thread_may_block());
}

TEST_CASE("loop: after a stop it runs again") {
  SystemClock clock;
  Loop loop(clock);
  loop.stop();
  loop.run();
  bool ran = false;
  loop.post([&] {
    ran = true;
    loop.stop();
  });
  loop.run();
  CHECK(ran);
}

TEST_CASE("timer: fires once, at its time, in the order of deadlines") {
  ManualClock clock;
  Loop loop(clock);
  std::string order;
  Timer b(loop, [&] { order += 'b'; });
  Timer a(loop, [&] { order += 'a'; });
  Timer c(loop, [&] { order += 'c'; });
  b.arm(milliseconds(20));
  a.arm(milliseconds(10));
  c.arm(milliseconds(20));
  CHECK(a.armed());
  clock.advance(milliseconds(9));
  loop.turn();
  CHECK(order.empty());
  clock.advance(milliseconds(1));
  loop.turn();
  CHECK(order == "a");
  CHECK_FALSE(a.armed());
  clock.advance(milliseconds(100));
  loop.turn();
  CHECK(order == "abc");
  loop.turn();
  CHECK(order == "abc");
}

TEST_CASE("timer: re-arming replaces, to later and to earlier; cancelled it is silent") {
  ManualClock clock;
  Loop loop(clock);
  int fired = 0;
  Timer timer(loop, [&] { ++fired; });
  const auto at = [&](int ms) {
    clock.advance(milliseconds(ms));
    loop.turn();
    return fired;
  };
  timer.arm(milliseconds(10));
  timer.arm(milliseconds(30));  // later
  CHECK(at(10) == 0);
  CHECK(at(19) == 0);
  CHECK(at(1) == 1);
  timer.arm(milliseconds(30));
  timer.arm(milliseconds(5));  // earlier
  CHECK(at(5) == 2);
  CHECK(at(100) == 2);
  timer.arm(milliseconds(5));
  timer.cancel();
  CHECK_FALSE(timer.armed());
  CHECK(at(100) == 2);
  timer.arm(milliseconds(-5));  // already due
  CHECK(at(0) == 3);
  timer.arm(milliseconds(5));
  timer.cancel();
  timer.arm(milliseconds(50));
  CHECK(at(20) == 3);
  CHECK(at(30) == 4);
}

TEST_CASE("timer: armed again inside its callback, it waits for the next turn") {
  ManualClock clock;
  Loop loop(clock);
  int fired = 0;
  Timer* self = nullptr;
  Timer timer(loop, [&] {
    ++fired;
    self->arm(Duration::zero());
  });
  self = &timer;
  timer.arm(Duration::zero());
  loop.turn();
  CHECK(fired == 1);
  loop.turn();
  CHECK(fired == 2);
}

TEST_CASE("timer: one may cancel or destroy another that is due in the same turn") {
  ManualClock clock;
  Loop loop(clock);
  int fired = 0;
  auto second = std::make_unique<Timer>(loop, [&] { ++fired; });
  Timer third(loop, [&] { ++fired; });
  Timer first(loop, [&] {
    second.reset();
    third.cancel();
  });
  first.arm(milliseconds(1));
  second->arm(milliseconds(1));
  third.arm(milliseconds(1));
  clock.advance(milliseconds(1));
  loop.turn();
  CHECK(fired == 0);
}

TEST_CASE("timer: thousands armed, moved and dropped at random fire exactly as a list says") {
  ManualClock clock;
  Loop loop(clock);
  SeededRandom random(42);
  struct Slot {
    std::unique_ptr<Timer> timer;
    int64_t due = -1;  // ms; -1: not armed
    int fired = 0;
    int expected = 0;
  };
  std::vector<Slot> slots(300);
  int64_t now = 0;
  int wrong = 0;
  for (Slot& slot : slots) slot.timer = std::make_unique<Timer>(loop, [&slot] { ++slot.fired; });
  for (int step = 0; step < 20'000; ++step) {
    Slot& slot = slots[random.below(slots.size())];
    switch (random.below(8)) {
      case 0:
        slot.timer->cancel();
        slot.due = -1;
        break;
      case 1:
        slot.timer = std::make_unique<Timer>(loop, [&slot] { ++slot.fired; });
        slot.due = -1;
        break;
      case 2:
        clock.advance(milliseconds(1));
        ++now;
        loop.turn();
        for (Slot& each : slots) {
          if (each.due >= 0 && each.due <= now) {
            ++each.expected;
            each.due = -1;
          }
          wrong += each.fired != each.expected || each.timer->armed() != (each.due >= 0) ? 1 : 0;
        }
        break;
      default: {
        const int64_t after = static_cast<int64_t>(random.below(50)) + 1;
        slot.timer->arm(milliseconds(after));
        slot.due = now + after;
      }
    }
  }
  CHECK(now > 1000);
  CHECK(wrong == 0);
}
