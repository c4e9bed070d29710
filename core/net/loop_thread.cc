#include "core/net/loop_thread.h"

#include <pthread.h>

#include <future>

#include "core/base/check.h"
#include "core/base/executor.h"

namespace bw::net {

LoopThread::LoopThread(std::string name, Clock& clock) : loop_(std::make_unique<Loop>(clock)) {
  // Returns once the loop runs: from then on on_thread() is true on that thread only.
  std::promise<void> runs;
  std::future<void> running = runs.get_future();
  loop_->post([&runs] { runs.set_value(); });
  thread_ = std::thread([this, name = std::move(name)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    loop_->run();
  });
  running.get();
}

LoopThread::~LoopThread() {
  loop_->stop();
  thread_.join();
}

void LoopThread::run_and_wait(std::function<void()> task) {
  BW_CHECK(thread_may_block());
  std::promise<void> done;
  loop_->post([&task, &done] {
    task();
    done.set_value();
  });
  done.get_future().get();
}

}  // namespace bw::net
