#include <event2/event.h>

#include "core/base/check.h"
#include "core/net/loop.h"
#include "core/net/loop_state.h"

namespace bw::net {

struct Watch::State {
  Loop& loop;
  int fd;
  UniqueFunction<void(uint8_t events)> callback;
  event* read = nullptr;  // level-triggered, or edge-triggered for `arrival`
  event* write = nullptr;
  uint8_t wanted = 0;
  bool running = false;

  static void fired(evutil_socket_t, short what, void* raw) {
    State& s = *static_cast<State*>(raw);
    s.loop.state().see_time();
    uint8_t events = 0;
    if ((what & EV_READ) != 0) events |= s.wanted & (readable | arrival);
    if ((what & EV_WRITE) != 0) events |= s.wanted & writable;
    if (events == 0) return;
    s.running = true;
    s.callback(events);
    s.running = false;
  }

  // One libevent event each way: libevent then changes a registration with one system call.
  void set(event*& slot, bool on, short flags) {
    event_base* base = loop.state().base;
    if (!on) {
      if (slot != nullptr) event_del(slot);
      return;
    }
    const short all = static_cast<short>(flags | EV_PERSIST);
    if (slot == nullptr) {
      slot = event_new(base, fd, all, &State::fired, this);
      BW_CHECK(slot != nullptr);
    } else if (event_get_events(slot) != all) {
      event_del(slot);
      event_assign(slot, base, fd, all, &State::fired, this);
    }
    BW_CHECK(event_add(slot, nullptr) == 0);
  }
};

Watch::Watch(Loop& loop, int fd, UniqueFunction<void(uint8_t events)> callback)
    : state_(new State{.loop = loop, .fd = fd, .callback = std::move(callback)}) {}

Watch::~Watch() {
  BW_CHECK(!state_->running);  // destroyed inside its own callback
  if (state_->read != nullptr) event_free(state_->read);
  if (state_->write != nullptr) event_free(state_->write);
}

void Watch::want(uint8_t events) {
  State& s = *state_;
  if (events == s.wanted) return;
  const uint8_t reading = readable | arrival;
  // libevent refuses a mix of both triggers on one descriptor, also for a moment.
  if ((events & reading) != (s.wanted & reading)) s.set(s.read, false, 0);
  if ((events & writable) != (s.wanted & writable)) {
    s.set(s.write, (events & writable) != 0, EV_WRITE);
  }
  if ((events & reading) != (s.wanted & reading) && (events & reading) != 0) {
    s.set(s.read, true, static_cast<short>((events & arrival) != 0 ? EV_READ | EV_ET : EV_READ));
  }
  s.wanted = events;
}

}  // namespace bw::net
