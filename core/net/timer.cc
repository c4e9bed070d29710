#include "core/base/check.h"
#include "core/net/loop.h"
#include "core/net/loop_state.h"

namespace bw::net {

bool TimerHeap::before(const TimerEntry* a, const TimerEntry* b) {
  return a->key != b->key ? a->key < b->key : a->key_seq < b->key_seq;
}

void TimerHeap::place(TimerEntry* entry, size_t position) {
  entries_[position] = entry;
  entry->position = position;
}

void TimerHeap::push(TimerEntry* entry) {
  entries_.push_back(entry);
  entry->position = entries_.size() - 1;
  sift_up(entry->position);
}

void TimerHeap::remove(TimerEntry* entry) {
  const size_t position = entry->position;
  TimerEntry* last = entries_.back();
  entries_.pop_back();
  entry->position = TimerEntry::kNowhere;
  if (last == entry) return;
  place(last, position);
  sift_up(position);
  sift_down(last->position);
}

void TimerHeap::sift_up(size_t position) {
  TimerEntry* const entry = entries_[position];
  while (position > 0) {
    const size_t parent = (position - 1) / 2;
    if (!before(entry, entries_[parent])) break;
    place(entries_[parent], position);
    position = parent;
  }
  place(entry, position);
}

void TimerHeap::sift_down(size_t position) {
  TimerEntry* const entry = entries_[position];
  for (;;) {
    size_t child = position * 2 + 1;
    if (child >= entries_.size()) break;
    if (child + 1 < entries_.size() && before(entries_[child + 1], entries_[child])) ++child;
    if (!before(entries_[child], entry)) break;
    place(entries_[child], position);
    position = child;
  }
  place(entry, position);
}

struct Timer::State {
  Loop& loop;
  TimerEntry entry;
};

Timer::Timer(Loop& loop, Task callback) : state_(new State{.loop = loop, .entry = {}}) {
  state_->entry.callback = std::move(callback);
}

Timer::~Timer() {
  TimerEntry& entry = state_->entry;
  BW_CHECK(!entry.running);  // destroyed inside its own callback
  if (entry.position != TimerEntry::kNowhere) state_->loop.state().timers.remove(&entry);
}

void Timer::arm(Duration after) {
  TimerEntry& entry = state_->entry;
  Loop::State& loop = state_->loop.state();
  entry.deadline = state_->loop.now() + std::max(after, Duration::zero());
  entry.deadline_seq = ++loop.timer_seq;
  entry.armed = true;
  if (entry.position != TimerEntry::kNowhere && entry.key <= entry.deadline) return;
  entry.key = entry.deadline;
  entry.key_seq = entry.deadline_seq;
  if (entry.position == TimerEntry::kNowhere) {
    loop.timers.push(&entry);
  } else {
    loop.timers.raise(&entry);
  }
}

void Timer::cancel() { state_->entry.armed = false; }
bool Timer::armed() const { return state_->entry.armed; }

}  // namespace bw::net
