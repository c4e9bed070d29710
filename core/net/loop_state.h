// The inside of a Loop, for the .cc files of net: libevent's base, timers, tasks, lingerers.
//
// Threads: `posted` and `stopping` are shared; all else belongs to the loop's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "core/net/loop.h"

struct event;
struct event_base;

namespace bw::net {

// A timer's place in the heap. The heap's key may be older than the timer's own deadline: arming
// to a later time (what idle timers do at each request) only notes it, and the heap follows when
// the old key is due.
struct TimerEntry {
  MonoTime deadline;  // as armed
  uint64_t deadline_seq = 0;
  bool armed = false;
  bool running = false;
  MonoTime key;  // as sorted
  uint64_t key_seq = 0;
  size_t position = kNowhere;  // in the heap
  Task callback;

  static constexpr size_t kNowhere = ~size_t{0};
};

// A binary heap of entries it does not own.
class TimerHeap {
 public:
  bool empty() const { return entries_.empty(); }
  TimerEntry* top() const { return entries_.front(); }
  void push(TimerEntry* entry);
  void remove(TimerEntry* entry);
  // The key of `entry` became smaller.
  void raise(TimerEntry* entry) { sift_up(entry->position); }

 private:
  static bool before(const TimerEntry* a, const TimerEntry* b);
  void place(TimerEntry* entry, size_t position);
  void sift_up(size_t position);
  void sift_down(size_t position);
  std::vector<TimerEntry*> entries_;
};

struct Loop::State {
  State(Loop& owner, Clock& time);
  ~State();

  // Reads the clocks once a turn, at the first thing that happens after the wait.
  void see_time() {
    if (!time_seen) read_time();
  }
  void read_time();
  void drain_wake();
  void run_ending();
  void run_tasks(std::vector<Task>& batch);
  void fire_timers();
  // Makes the wait end when the first timer is due.
  void arm_wait();

  Loop& loop;
  Clock& clock;
  event_base* base = nullptr;
  event* wake_event = nullptr;
  event* wait_event = nullptr;
  int wake_fd = -1;

  std::mutex mutex;
  std::vector<Task> posted;  // guarded by mutex
  std::atomic<bool> stopping{false};
  std::atomic<std::thread::id> owner;

  std::vector<Task> own_posted;  // posted from inside a turn
  std::vector<Task> ending;
  // Those that run just now; they change places with the three above, so that memory stays.
  std::vector<Task> batch;
  std::vector<Task> ending_batch;
  TimerHeap timers;
  uint64_t timer_seq = 0;
  uint64_t turn_number = 0;
  bool in_turn = false;
  bool time_seen = false;
  MonoTime now;
  WallTime wall;
  std::unique_ptr<char[]> read_block;
  // Connections that finish without their user (close_after_flush).
  std::unordered_set<std::shared_ptr<void>> lingering;
};

}  // namespace bw::net
