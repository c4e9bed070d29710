#include "core/net/loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/executor.h"
#include "core/net/loop_state.h"

namespace bw::net {
namespace {

thread_local Loop* running_loop = nullptr;

event_base* make_base() {
  event_config* config = event_config_new();
  BW_CHECK(config != nullptr);
  // One thread owns a base; other threads only write to its eventfd.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  BW_CHECK(base != nullptr);
  return base;
}

}  // namespace

Loop::State::State(Loop& self, Clock& time)
    : loop(self), clock(time), base(make_base()), owner(std::this_thread::get_id()) {
  wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  BW_CHECK(wake_fd >= 0);
  wake_event = event_new(
      base, wake_fd, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* state) { static_cast<State*>(state)->drain_wake(); }, this);
  wait_event = event_new(
      base, -1, EV_TIMEOUT,
      [](evutil_socket_t, short, void* state) { static_cast<State*>(state)->see_time(); }, this);
  BW_CHECK(wake_event != nullptr && wait_event != nullptr && event_add(wake_event, nullptr) == 0);
  read_time();
}

Loop::State::~State() {
  // Tasks hold retired objects, whose watches and timers need the base; destroying one may post.
  while (!lingering.empty() || !posted.empty() || !own_posted.empty() || !ending.empty()) {
    std::exchange(lingering, {}).clear();
    std::exchange(own_posted, {}).clear();
    std::exchange(ending, {}).clear();
    std::vector<Task> last;
    {
      std::lock_guard lock(mutex);
      last.swap(posted);
    }
  }
  event_free(wake_event);
  event_free(wait_event);
  event_base_free(base);
  ::close(wake_fd);
}

void Loop::State::read_time() {
  now = clock.mono();
  wall = clock.wall();
  time_seen = true;
}

void Loop::State::drain_wake() {
  see_time();
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(wake_fd, &count, sizeof count);
}

void Loop::State::run_tasks(std::vector<Task>& batch) {
  for (Task& task : batch) {
    task();
    task = Task();  // what it held goes now, in order
  }
  batch.clear();
}

void Loop::State::run_ending() {
  while (!ending.empty()) {
    ending_batch.swap(ending);
    run_tasks(ending_batch);
  }
}

void Loop::State::fire_timers() {
  const uint64_t last_seq = timer_seq;  // what is armed by callbacks waits for the next turn
  while (!timers.empty()) {
    TimerEntry* entry = timers.top();
    if (entry->key > now || entry->key_seq > last_seq) return;
    timers.remove(entry);
    if (!entry->armed) continue;
    if (entry->deadline_seq != entry->key_seq) {
      entry->key = entry->deadline;
      entry->key_seq = entry->deadline_seq;
      timers.push(entry);
      continue;
    }
    entry->armed = false;
    entry->running = true;
    entry->callback();
    entry->running = false;
  }
}

void Loop::State::arm_wait() {
  if (timers.empty()) {
    event_del(wait_event);
    return;
  }
  const int64_t ns = std::max<int64_t>(0, (timers.top()->key - clock.mono()).count());
  timeval tv{};
  tv.tv_sec = ns / 1'000'000'000;
  tv.tv_usec = (ns % 1'000'000'000 + 999) / 1000;
  event_add(wait_event, &tv);
}

Loop::Loop(Clock& clock) : state_(std::make_unique<State>(*this, clock)) {}
Loop::~Loop() = default;

void Loop::run() {
  const LoopThreadMark mark;
  state_->owner = std::this_thread::get_id();
  while (!state_->stopping) turn(true);
  state_->stopping = false;
}

void Loop::turn(bool wait) {
  State& s = *state_;
  BW_CHECK(!s.in_turn);
  s.owner = std::this_thread::get_id();
  s.in_turn = true;
  Loop* const outer = std::exchange(running_loop, this);
  ++s.turn_number;
  s.time_seen = false;
  if (!s.ending.empty()) {  // asked for between turns
    s.see_time();
    s.run_ending();
    s.time_seen = false;
  }
  s.batch.swap(s.own_posted);
  const bool block = wait && s.batch.empty() && !s.stopping;
  if (block) s.arm_wait();
  event_base_loop(s.base, EVLOOP_ONCE | (block ? 0 : EVLOOP_NONBLOCK));
  s.see_time();
  s.fire_timers();
  s.run_tasks(s.batch);
  {
    std::lock_guard lock(s.mutex);
    s.batch.swap(s.posted);
  }
  s.run_tasks(s.batch);
  s.run_ending();
  running_loop = outer;
  s.in_turn = false;
}

void Loop::stop() {
  post([this] { state_->stopping = true; });
}

void Loop::post(Task task) {
  State& s = *state_;
  if (running_loop == this) {
    s.own_posted.push_back(std::move(task));
    return;
  }
  bool first = false;
  {
    std::lock_guard lock(s.mutex);
    first = s.posted.empty();
    s.posted.push_back(std::move(task));
  }
  if (first) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(s.wake_fd, &one, sizeof one);
  }
}

void Loop::at_turn_end(Task task) { state_->ending.push_back(std::move(task)); }

MonoTime Loop::now() const {
  // Between turns (start-up, tests) nothing is cached.
  return state_->in_turn ? (state_->see_time(), state_->now) : state_->clock.mono();
}
WallTime Loop::wall() const {
  return state_->in_turn ? (state_->see_time(), state_->wall) : state_->clock.wall();
}
Clock& Loop::clock() const { return state_->clock; }
bool Loop::on_thread() const { return state_->owner.load() == std::this_thread::get_id(); }
Loop* Loop::current() { return running_loop; }

char* Loop::read_block() {
  if (state_->read_block == nullptr) state_->read_block = std::make_unique<char[]>(kReadBlock);
  return state_->read_block.get();
}

}  // namespace bw::net
