#include "core/base/executor.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace bw {
namespace {

thread_local int loop_marks = 0;

}  // namespace

LoopThreadMark::LoopThreadMark() { ++loop_marks; }
LoopThreadMark::~LoopThreadMark() { --loop_marks; }
bool thread_may_block() { return loop_marks == 0; }

struct Executor::State {
  const std::string name;
  const size_t queue_limit;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Task> queue;
  bool stopping = false;
  std::vector<std::thread> threads;

  State(std::string n, size_t limit) : name(std::move(n)), queue_limit(limit) {}

  void work() {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    for (;;) {
      Task task;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return stopping || !queue.empty(); });
        if (queue.empty()) return;
        task = std::move(queue.front());
        queue.pop_front();
      }
      task();
    }
  }
};

Executor::Executor(std::string name, size_t threads, size_t queue_limit)
    : state_(std::make_unique<State>(std::move(name), queue_limit)) {
  for (size_t i = 0; i < threads; ++i) state_->threads.emplace_back([this] { state_->work(); });
}

Executor::~Executor() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

Status Executor::submit(Task task) {
  {
    std::lock_guard lock(state_->mutex);
    if (state_->stopping) return Error{.kind = Error::Kind::cancelled, .text = "executor stops"};
    if (state_->queue.size() >= state_->queue_limit) {
      return Error{.kind = Error::Kind::busy, .text = "executor queue is full"};
    }
    state_->queue.push_back(std::move(task));
  }
  state_->wake.notify_one();
  return {};
}

size_t Executor::queued() const {
  std::lock_guard lock(state_->mutex);
  return state_->queue.size();
}

}  // namespace bw
