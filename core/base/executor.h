// Threads for work that may block: RocksDB, files. Never runs on a loop.
//
// Threads: submit() from any thread. Bounds: at most `queue_limit` tasks wait; beyond, submit
// refuses (Error::Kind::busy). Lifetime: the destructor runs what is queued, then joins.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/base/task.h"

namespace bw {

class Executor {
 public:
  Executor(std::string name, size_t threads, size_t queue_limit);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  Status submit(Task task);
  size_t queued() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Marks the calling thread as a loop's for as long as it lives. Blocking code asks
// thread_may_block() in a CHECK, which proves that no loop ever reaches it.
class LoopThreadMark {
 public:
  LoopThreadMark();
  ~LoopThreadMark();
  LoopThreadMark(const LoopThreadMark&) = delete;
  LoopThreadMark& operator=(const LoopThreadMark&) = delete;
};
bool thread_may_block();

}  // namespace bw
