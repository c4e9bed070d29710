// A thread that runs a loop: a worker, or the loop of an admin listener.
//
// Lifetime: the destructor stops the loop and joins. Threads: post work through loop().
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "core/net/loop.h"

namespace bw::net {

class LoopThread {
 public:
  LoopThread(std::string name, Clock& clock);
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  Loop& loop() { return *loop_; }
  // Runs `task` on the loop and waits for it. Not from a loop.
  void run_and_wait(std::function<void()> task);

 private:
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace bw::net
