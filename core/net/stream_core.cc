#include "core/net/stream_core.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/net/loop_state.h"
#include "core/net/socket.h"

namespace bw::net {
namespace {

constexpr Duration kLinger = std::chrono::seconds(1);
// How long a connection whose user has gone may take to send what is queued.
constexpr Duration kAbandonedFlush = std::chrono::seconds(30);
// How much one connection reads in a turn before others have theirs.
constexpr size_t kReadBudget = 4 * Loop::kReadBlock;

}  // namespace

StreamCore::StreamCore(Loop& loop, int fd, Address peer, bool connecting, Error::Side side)
    : loop_(loop),
      fd_(fd),
      peer_(std::move(peer)),
      side_(side),
      connects_(connecting),
      last_read_(loop.now()),
      last_write_(loop.now()) {
  if (fd_ < 0) return;
  if (peer_.family() == Address::Family::ip) set_option(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
  if (!connects_) local_ = local_address(fd_);
}

StreamCore::~StreamCore() { tear_down(false); }

void StreamCore::start(std::unique_ptr<Transport> transport, int connect_error) {
  transport_ = std::move(transport);
  connect_error_ = connect_error;
  loop_.at_turn_end([self = shared_from_this()] { self->on_start(); });
}

void StreamCore::on_start() {
  if (state_ == State::dead) return;
  BW_CHECK(events_ != nullptr || closing_);
  if (connect_error_ != 0) {
    fail(Error{.kind = Error::Kind::unreachable,
               .side = side_,
               .retry = Error::Retry::yes,
               .code = connect_error_,
               .text = "cannot connect"});
    return;
  }
  watch_ = std::make_unique<Watch>(loop_, fd_, [this](uint8_t what) { on_watch(what); });
  if (connects_) {
    state_ = State::connecting;
    update_interest();
    return;
  }
  state_ = State::handshaking;
  run_handshake();
}

void StreamCore::on_watch(uint8_t what) {
  switch (state_) {
    case State::starting:
    case State::dead:
      return;
    case State::connecting:
      on_connected();
      return;
    case State::handshaking:
      run_handshake();
      return;
    case State::open:
      break;
  }
  if ((what & Watch::arrival) != 0) {
    // While nothing is read, a reset is still worth knowing: nobody waits for the answer any more.
    const int code = take_socket_error(fd_);
    if (code != 0) fail(socket_error(code, "connection was reset", side_));
    return;
  }
  if ((what & Watch::writable) != 0) {
    blocked_ = false;
    flush();
  }
  if ((what & Watch::readable) != 0 && state_ == State::open) {
    if (paused_) {
      pause_noticed_ = true;
    } else {
      pump();
    }
  }
  update_interest();
}

void StreamCore::on_connected() {
  const int code = take_socket_error(fd_);
  if (code != 0) {
    connect_error_ = code;
    fail(Error{.kind = Error::Kind::unreachable,
               .side = side_,
               .retry = Error::Retry::yes,
               .code = code,
               .text = "cannot connect"});
    return;
  }
  local_ = local_address(fd_);
  state_ = State::handshaking;
  run_handshake();
}

void StreamCore::run_handshake() {
  const Io io = transport_->handshake();
  if (io.status == Io::Status::failed) {
    fail(io.error);
    return;
  }
  if (io.status == Io::Status::progress) {
    state_ = State::open;
    last_read_ = last_write_ = loop_.now();
    if (events_ != nullptr && !closing_) events_->on_open();
    if (state_ != State::open) return;
    if (buffered() > 0 || finish_requested_) schedule_flush();
    if (transport_->pending_in()) schedule_pump();
  }
  update_interest();
}

void StreamCore::update_interest() {
  if (watch_ == nullptr || state_ == State::dead) return;
  uint8_t wanted = 0;
  if (state_ == State::connecting) {
    wanted = Watch::writable;
  } else if (state_ == State::handshaking) {
    wanted = Watch::readable;
    if (transport_->pending_out() > 0) wanted |= Watch::writable;
  } else {
    // Pausing costs no system call until bytes come in spite of it.
    if (!read_ended_ && !(paused_ && pause_noticed_)) wanted |= Watch::readable;
    if (blocked_) wanted |= Watch::writable;
    if (wanted == 0) wanted = Watch::arrival;
  }
  watch_->want(wanted);
}

bool StreamCore::takes_bytes() const {
  return state_ != State::dead && !finish_requested_ && !write_error_;
}

void StreamCore::write(Slice bytes) {
  if (!takes_bytes()) return;
  queue_.push(std::move(bytes));
  on_queued();
}

void StreamCore::write_copy(std::string_view bytes) {
  if (!takes_bytes()) return;
  queue_.push_copy(bytes);
  on_queued();
}

void StreamCore::on_queued() {
  if (!was_high_ && buffered() > Connection::kHighWater) was_high_ = true;
  schedule_flush();
}

size_t StreamCore::buffered() const {
  return state_ == State::dead ? 0 : queue_.bytes() + transport_->pending_out();
}

void StreamCore::schedule_flush() {
  if (flush_scheduled_ || blocked_ || state_ != State::open) return;
  flush_scheduled_ = true;
  Task task = [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  };
  // Once a turn: a producer fed by on_drained() must not keep the loop from its other connections.
  if (flush_turn_ == loop_.state().turn_number) {
    loop_.post(std::move(task));
  } else {
    loop_.at_turn_end(std::move(task));
  }
}

void StreamCore::flush() {
  if (state_ != State::open || blocked_) return;
  flush_turn_ = loop_.state().turn_number;
  bool progress = false;
  while (buffered() > 0) {
    const Io io = transport_->write(queue_);
    if (io.bytes > 0) {
      last_write_ = loop_.now();
      progress = true;
    }
    if (io.status == Io::Status::failed) {
      fail_after_input(io.error);
      return;
    }
    if (io.status == Io::Status::again) {
      blocked_ = true;
      break;
    }
  }
  if (progress && events_ != nullptr) {
    events_->on_progress();
    if (state_ == State::dead) return;
  }
  if (was_high_ && buffered() <= Connection::kLowWater) {
    was_high_ = false;
    if (!finish_requested_ && events_ != nullptr) events_->on_drained();
    if (state_ == State::dead) return;
  }
  finish_if_flushed();
  update_interest();
}

void StreamCore::finish_if_flushed() {
  if (!finish_requested_ || finished_ || blocked_ || buffered() > 0) return;
  const Io io = transport_->finish();
  if (io.status == Io::Status::failed) {
    fail_after_input(io.error);
    return;
  }
  if (io.status == Io::Status::again) {
    blocked_ = true;
    return;
  }
  finished_ = true;
  if (!closing_) return;
  if (read_ended_) {
    fail(Error{.kind = Error::Kind::closed, .text = "connection closed"});
    return;
  }
  // A close with unread input would reset the connection and take the answer's tail with it.
  deadline_ = std::make_unique<Timer>(
      loop_, [this] { fail(Error{.kind = Error::Kind::closed, .text = "connection closed"}); });
  deadline_->arm(kLinger);
}

void StreamCore::finish_writing() {
  if (state_ == State::dead || finish_requested_) return;
  finish_requested_ = true;
  schedule_flush();
}

void StreamCore::close(bool reset) {
  if (state_ != State::dead) tear_down(reset);
}

void StreamCore::close_after_flush() {
  if (state_ == State::dead || closing_) return;
  closing_ = true;
  finish_requested_ = true;
  kept_.clear();
  paused_ = pause_noticed_ = false;
  finished_ = false;  // what finish_writing() may have ended still lacks its linger
  update_interest();
  schedule_flush();
  if (transport_->pending_in()) schedule_pump();
}

void StreamCore::resume_reading() {
  if (!paused_) return;
  paused_ = pause_noticed_ = false;
  if (state_ != State::open) return;
  update_interest();
  if (!kept_.empty()) present_kept_ = true;
  if (present_kept_ || transport_->pending_in()) schedule_pump();
}

void StreamCore::schedule_pump() {
  if (pump_scheduled_) return;
  pump_scheduled_ = true;
  loop_.post([self = shared_from_this()] {
    self->pump_scheduled_ = false;
    self->pump();
    self->update_interest();
  });
}

void StreamCore::pump() {
  if (state_ != State::open || paused_) return;
  if (std::exchange(present_kept_, false)) deliver({});
  size_t budget = kReadBudget;
  while (state_ == State::open && !paused_ && !read_ended_) {
    if (budget == 0) {
      if (transport_->pending_in()) schedule_pump();
      return;
    }
    char* block = loop_.read_block();
    const Io io = transport_->read(block, Loop::kReadBlock);
    if (io.status == Io::Status::again) {
      if (transport_->pending_out() > 0) schedule_flush();  // TLS answered by itself
      return;
    }
    if (io.status == Io::Status::failed) {
      fail(write_error_ ? *write_error_ : io.error);
      return;
    }
    if (io.status == Io::Status::end) {
      read_ended_ = true;
      on_input_end();
      return;
    }
    last_read_ = loop_.now();
    budget -= std::min(budget, io.bytes);
    deliver({block, io.bytes});
    if (io.drained) {
      if (transport_->pending_out() > 0) schedule_flush();
      return;
    }
  }
}

void StreamCore::deliver(std::string_view bytes) {
  if (closing_ || events_ == nullptr) return;
  if (kept_.empty()) {
    if (bytes.empty()) return;
    const size_t consumed = events_->on_data(bytes);
    BW_CHECK(consumed <= bytes.size());
    if (state_ == State::dead || closing_) return;
    if (consumed < bytes.size()) kept_.assign(bytes.substr(consumed));
    return;
  }
  std::string held = std::exchange(kept_, {});  // stays put whatever the callback does
  held += bytes;
  const size_t consumed = events_->on_data(held);
  BW_CHECK(consumed <= held.size());
  if (state_ == State::dead || closing_) return;
  if (consumed < held.size()) {
    held.erase(0, consumed);
    kept_ = std::move(held);
  }
}

void StreamCore::on_input_end() {
  if (write_error_) {
    fail(*write_error_);  // a reset that the kernel tells as an end, once it was told by a write
  } else if (closing_) {
    if (finished_) fail(Error{.kind = Error::Kind::closed, .text = "connection closed"});
  } else if (events_ != nullptr) {
    events_->on_end();
  }
}

void StreamCore::fail_after_input(Error error) {
  write_error_ = error;
  queue_.clear();
  // An early answer may lie in front of the reset: read before dying.
  if (!paused_ && !read_ended_ && !closing_) pump();
  fail(error);
}

void StreamCore::fail(Error error) {
  if (state_ == State::dead) return;
  tear_down(false);
  if (events_ != nullptr) events_->on_error(error);
}

void StreamCore::tear_down(bool reset) {
  if (state_ == State::dead && fd_ < 0) return;
  state_ = State::dead;
  queue_.clear();
  if (watch_ != nullptr) watch_->want(0);
  if (deadline_ != nullptr) deadline_->cancel();
  if (fd_ >= 0) {
    if (reset) {
      const linger now{.l_onoff = 1, .l_linger = 0};
      (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    ::close(fd_);
    fd_ = -1;
  }
  if (events_ == nullptr && closing_) {
    // Abandoned: the loop held it. Not destroyed here, inside its own callback.
    auto& lingering = loop_.state().lingering;
    for (auto it = lingering.begin(); it != lingering.end(); ++it) {
      if (it->get() == this) {
        loop_.post([held = *it] {});
        lingering.erase(it);
        break;
      }
    }
  }
}

void StreamCore::abandon() {
  events_ = nullptr;
  if (state_ == State::dead) return;
  if (!closing_) {
    tear_down(false);
    return;
  }
  loop_.state().lingering.insert(shared_from_this());
  if (deadline_ == nullptr) {
    // Replaced by the linger's once all has left.
    deadline_ = std::make_unique<Timer>(loop_, [this] { tear_down(true); });
    deadline_->arm(kAbandonedFlush);
  }
}

}  // namespace bw::net
