#include "core/base/executor.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <thread>
#include <vector>

using namespace bw;

namespace {

// Keeps a thread of the executor busy until it is opened.
struct Gate {
  std::promise<void> entered;
  std::promise<void> opened;
  Task task() {
    return [this] {
      entered.set_value();
      opened.get_future().wait();
    };
  }
  void wait_entered() { entered.get_future().wait(); }
  void open() { opened.set_value(); }
};

}  // namespace

TEST_CASE("executor: one thread runs tasks in their order, off the caller's thread") {
  std::vector<int> order;
  std::thread::id id;
  {
    Executor executor("one", 1, 100);
    for (int i = 0; i < 100; ++i) {
      REQUIRE(executor
                  .submit([&, i] {
                    order.push_back(i);
                    id = std::this_thread::get_id();
                  })
                  .ok());
      while (executor.queued() > 50) std::this_thread::yield();
    }
  }  // runs what is queued, then joins
  REQUIRE(order.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(order[static_cast<size_t>(i)] == i);
  CHECK(id != std::this_thread::get_id());
}

TEST_CASE("executor: beyond its queue it refuses as busy") {
  Gate gate;  // outlives the task that waits in it
  Executor executor("small", 1, 2);
  REQUIRE(executor.submit(gate.task()).ok());
  gate.wait_entered();
  CHECK(executor.queued() == 0);
  CHECK(executor.submit([] {}).ok());
  CHECK(executor.submit([] {}).ok());
  CHECK(executor.queued() == 2);
  const Status refused = executor.submit([] {});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().kind == Error::Kind::busy);
  gate.open();
}

TEST_CASE("executor: tasks of several threads run at once, and all of them") {
  std::atomic<int> ran{0};
  {
    Gate gates[3];
    Executor executor("many", 3, 100'000);
    for (Gate& gate : gates) REQUIRE(executor.submit(gate.task()).ok());
    for (Gate& gate : gates) gate.wait_entered();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          if (!executor.submit([&] { ++ran; }).ok()) std::abort();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (Gate& gate : gates) gate.open();
  }
  CHECK(ran == 4000);
}

TEST_CASE("executor: a task goes with what it held once it has run") {
  auto held = std::make_shared<int>(1);
  {
    Executor executor("held", 1, 10);
    REQUIRE(executor.submit([held] {}).ok());
  }
  CHECK(held.use_count() == 1);
}

TEST_CASE("executor: a marked thread may not block, marks nest") {
  CHECK(thread_may_block());
  {
    const LoopThreadMark outer;
    {
      const LoopThreadMark inner;
      CHECK_FALSE(thread_may_block());
    }
    CHECK_FALSE(thread_may_block());
    bool elsewhere = false;
    std::thread([&] { elsewhere = thread_may_block(); }).join();
    CHECK(elsewhere);
  }
  CHECK(thread_may_block());
}
