// Delivers signals to a loop as plain calls, through a signalfd.
//
// Threads: its loop's. block_signals() runs in main before any other thread starts, so that no
// thread takes a signal the old way.
#pragma once

#include <initializer_list>
#include <memory>

#include "core/base/task.h"
#include "core/net/loop.h"

namespace bw::net {

// Blocks `signals` for this thread and those it starts. SIGPIPE is ignored altogether.
void block_signals(std::initializer_list<int> signals);
// In a child between fork and exec: gives the signals back their usual delivery. Async-signal-safe.
void unblock_all_signals();

class Signals {
 public:
  // `signals` must have been blocked. Several of one kind may arrive as one call.
  Signals(Loop& loop, std::initializer_list<int> signals, UniqueFunction<void(int signal)> caught);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bw::net
