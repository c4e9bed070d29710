#include "core/http/client_request.h"

#include <algorithm>
#include <utility>

namespace bw::http {

ClientRequest::ClientRequest(net::Loop& loop, const RequestHead& head, bool has_body,
                             const ClientDeadlines& deadlines, ClientHandler& handler)
    : loop_(loop),
      head_(head),
      deadlines_(deadlines),
      handler_(&handler),
      begun_(loop.now()),
      since_(begun_),
      timer_(loop, [this] { on_timer(); }) {
  head_.has_body = has_body;
  if (!has_body && head_.content_length.value_or(0) > 0) head_.content_length.reset();
  finished_ = !has_body;
  arm();
}

void ClientRequest::attach(Carrier& carrier, bool reused) {
  const std::shared_ptr<ClientRequest> self = shared_from_this();
  leave_queue();
  state_ = State::head;
  carrier_ = &carrier;
  reused_ = reused;
  touch();
  arm();
  if (paused_) carrier.pause();
  const std::vector<Slice> queued = std::exchange(queued_, {});
  for (const Slice& piece : queued) {
    if (carrier_ != nullptr) carrier.send_body(piece);
  }
  if (!head_.has_body || carrier_ == nullptr) return;
  if (finished_) {
    carrier.finish(trailers_.get());
    return;
  }
  loop_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr && self->wants_more()) self->on_writable();
  });
}

void ClientRequest::detach() {
  carrier_ = nullptr;
  cancel();
}

void ClientRequest::on_informational(const ResponseHead& head) {
  touch();
  if (handler_ != nullptr) handler_->on_informational(head);
}

void ClientRequest::on_head(const ResponseHead& head) {
  if (handler_ == nullptr) return;
  state_ = State::body;
  touch();
  arm();
  handler_->on_head(head);
}

void ClientRequest::on_body(std::string_view piece) {
  touch();
  if (handler_ != nullptr) handler_->on_body(piece);
}

void ClientRequest::on_end(const FieldList& trailers, bool proven) {
  if (ClientHandler* handler = end()) handler->on_end(trailers, proven);
}

void ClientRequest::on_error(Error error) {
  if (ClientHandler* handler = end()) handler->on_error(error);
}

void ClientRequest::on_writable() {
  touch();
  if (handler_ != nullptr) handler_->on_writable();
}

void ClientRequest::fail_later(Error error) {
  carrier_ = nullptr;
  timer_.cancel();
  loop_.post([self = shared_from_this(), error] { self->on_error(error); });
}

void ClientRequest::wait_in(Queue& queue) {
  queue_ = &queue;
  place_ = queue.insert(queue.end(), shared_from_this());
}

void ClientRequest::leave_queue() {
  if (queue_ == nullptr) return;
  const std::shared_ptr<ClientRequest> self = shared_from_this();
  std::exchange(queue_, nullptr)->erase(place_);
}

void ClientRequest::send_body(Slice piece) {
  if (finished_ || ended()) return;
  touch();
  if (carrier_ != nullptr) {
    carrier_->send_body(std::move(piece));
  } else {
    queued_.push_back(std::move(piece));
  }
}

void ClientRequest::finish(const FieldList* trailers) {
  if (finished_ || ended()) return;
  finished_ = true;
  touch();
  if (carrier_ != nullptr) {
    carrier_->finish(trailers);
  } else if (trailers != nullptr) {
    trailers_ = std::make_unique<FieldList>(*trailers);
  }
}

void ClientRequest::pause() {
  if (paused_ || ended()) return;
  paused_ = true;
  if (carrier_ != nullptr) carrier_->pause();
}

void ClientRequest::resume() {
  if (!paused_ || ended()) return;
  paused_ = false;
  touch();
  if (carrier_ != nullptr) carrier_->resume();
}

void ClientRequest::cancel() {
  Carrier* carrier = carrier_;
  end();
  if (carrier != nullptr) carrier->cancel();
}

ClientHandler* ClientRequest::end() {
  state_ = State::ended;
  timer_.cancel();
  carrier_ = nullptr;
  queued_.clear();
  leave_queue();
  return std::exchange(handler_, nullptr);
}

Duration ClientRequest::phase_limit() const {
  return state_ == State::body ? deadlines_.between_bytes : deadlines_.first_byte;
}

// Whose turn it is: not the server's while nobody reads, or while our side owes body bytes.
bool ClientRequest::clock_stopped() const {
  if (state_ == State::waiting) return false;
  return paused_ || (state_ == State::head && wants_more());
}

void ClientRequest::arm() {
  const MonoTime now = loop_.now();
  Duration left = Duration::max();
  if (phase_limit() > Duration::zero()) left = since_ + phase_limit() - now;
  if (deadlines_.total > Duration::zero()) left = std::min(left, begun_ + deadlines_.total - now);
  if (left == Duration::max()) {
    timer_.cancel();
  } else {
    timer_.arm(left);
  }
}

// Progress only notes its time; here it is looked at.
void ClientRequest::on_timer() {
  const std::shared_ptr<ClientRequest> self = shared_from_this();
  loop_.post([self] {});  // the timer may not go inside its own callback
  const MonoTime now = loop_.now();
  Error error{.kind = Error::Kind::timeout, .side = Error::Side::upstream};
  if (clock_stopped()) since_ = now;
  if (deadlines_.total > Duration::zero() && now >= begun_ + deadlines_.total) {
    error.text = "total deadline of the fetch";
  } else if (phase_limit() > Duration::zero() && now >= since_ + phase_limit()) {
    error.text = state_ == State::body ? "deadline between bytes of the response"
                                       : "deadline of the response's first byte";
    if (state_ == State::waiting) {
      error.kind = Error::Kind::busy;
      error.text = "no connection came free before the deadline";
    }
  } else {
    arm();
    return;
  }
  if (state_ == State::waiting) error.retry = Error::Retry::yes;
  Carrier* carrier = carrier_;
  ClientHandler* handler = end();
  if (carrier != nullptr) carrier->cancel();
  if (handler != nullptr) handler->on_error(error);
}

}  // namespace bw::http
