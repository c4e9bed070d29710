// One event loop: the thread that owns it owns everything on it, unlocked.
//
// Threads: post() and stop() from any thread; all else on the loop's own thread (or before run()).
// Lifetime: watches and timers must go before their loop. Nothing is destroyed inside its own
// callback: retire() destroys it in the next turn.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/task.h"

namespace bw::net {

class Loop {
 public:
  explicit Loop(Clock& clock);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs turns until stop(). Marks the thread as a loop's (thread_may_block() is false on it).
  void run();
  // One turn; waits for an event, a timer or a posted task only if `wait`. For tests and start-up.
  void turn(bool wait = false);
  void stop();

  // Runs `task` on the loop's thread in a later turn.
  void post(Task task);
  // Runs `task` at the end of this turn, after all events of it: where output is flushed.
  void at_turn_end(Task task);
  // Destroys `object` in the next turn.
  template <typename T>
  void retire(std::unique_ptr<T> object) {
    if (object != nullptr) post([held = std::move(object)]() mutable { held.reset(); });
  }

  // Read once a turn, after its wait.
  MonoTime now() const;
  WallTime wall() const;
  Clock& clock() const;

  bool on_thread() const;
  // The loop running on this thread, or nullptr.
  static Loop* current();
  // A block of 64 KiB that whoever reads a socket may use until it returns to the loop.
  char* read_block();
  static constexpr size_t kReadBlock = 64 * 1024;

  struct State;  // libevent's side, for the .cc files of net only
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// Calls back once after a while, by the loop's clock. Re-arming replaces (cheaply when it is to a
// later time); destroying cancels.
class Timer {
 public:
  Timer(Loop& loop, Task callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void arm(Duration after);
  void cancel();
  bool armed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Tells when a descriptor can be read or written. Does not own the descriptor.
class Watch {
 public:
  // arrival: readable, but told only when something new came (also an error or the end); not
  // together with the other two. What a paused reader watches for a reset.
  enum Event : uint8_t { readable = 1, writable = 2, arrival = 4 };
  Watch(Loop& loop, int fd, UniqueFunction<void(uint8_t events)> callback);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  // The set of events wanted from now on; 0: none.
  void want(uint8_t events);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bw::net
