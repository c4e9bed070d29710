#include "edge/upstream/fetch.h"

namespace bw::edge {
namespace {

// A gateway's own failure behind a member counts against the member; an application's 500 doesn't.
bool counts_as_failure(int status) { return status == 502 || status == 503 || status == 504; }

}  // namespace

int status_of(const Error& error) {
  switch (error.kind) {
    case Error::Kind::timeout:
      return 504;
    case Error::Kind::busy:
      return 503;
    default:
      return 502;
  }
}

Fetch::Fetch(net::Loop& loop, http::ClientPool& pool, std::shared_ptr<Group> group, Random& random,
             FetchRequest request, FetchEvents& events)
    : loop_(loop),
      pool_(pool),
      group_(std::move(group)),
      random_(random),
      request_(std::move(request)),
      events_(events) {}

Fetch::~Fetch() { end(); }

void Fetch::start() {
  BW_CHECK(state_ == State::idle);
  group_->count_request();
  state_ = State::queued;
  const auto granted = [this] {
    waiter_.reset();
    timer_.reset();
    admitted_ = true;
    attempt();
  };
  switch (group_->admit(loop_, granted, &waiter_)) {
    case Group::Admission::granted:
      admitted_ = true;
      attempt();
      return;
    case Group::Admission::queued:
      fail_later({.kind = Error::Kind::busy,
                  .side = Error::Side::upstream,
                  .text = "no slot of the origin budget within queue_timeout"},
                 group_->settings().queue_timeout);
      return;
    case Group::Admission::refused:
      fail_later({.kind = Error::Kind::busy,
                  .side = Error::Side::upstream,
                  .text = "the queue of the origin budget is full"});
      return;
  }
}

void Fetch::attempt() {
  ticket_ = group_->pick(loop_.now(), request_.key_hash, random_.next(), tried_);
  if (ticket_ == nullptr) {
    fail_later({.kind = Error::Kind::unreachable,
                .side = Error::Side::upstream,
                .text = "no upstream member is left to try"});
    return;
  }
  ++tries_;
  tried_.push_back(ticket_->member_id());
  upstream_ = ticket_->address();
  http::RequestHead head = request_.head;
  if (request_.host == FetchRequest::Host::origin) head.authority = ticket_->origin_host();
  if (request_.host == FetchRequest::Host::literal) head.authority = request_.host_literal;
  head.scheme = ticket_->target().tls != nullptr ? "https" : "http";
  state_ = State::waiting_head;
  stream_ = pool_.fetch(ticket_->target(), head, request_.has_body, request_.deadlines, *this);
  if (paused_) stream_->pause();
}

void Fetch::fail_later(Error error, Duration after) {
  timer_ = std::make_unique<net::Timer>(loop_, [this, error] {
    loop_.retire(std::move(timer_));  // whoever is told may drop this fetch
    FetchEvents& events = events_;
    const Error told = error;
    end();
    events.on_fetch_error(told);
  });
  timer_->arm(after);
}

void Fetch::end() {
  state_ = State::ended;
  timer_.reset();
  waiter_.reset();
  stream_.reset();
  ticket_.reset();
  if (admitted_) group_->give_back();
  admitted_ = false;
}

void Fetch::send_body(Slice piece) {
  BW_CHECK(stream_ != nullptr);
  body_begun_ = true;
  stream_->send_body(std::move(piece));
}

void Fetch::finish_body(const http::FieldList* trailers) {
  BW_CHECK(stream_ != nullptr);
  body_begun_ = true;
  stream_->finish(trailers);
}

bool Fetch::wants_more() const { return stream_ != nullptr && stream_->wants_more(); }

void Fetch::pause() {
  paused_ = true;
  if (stream_ != nullptr) stream_->pause();
}

void Fetch::resume() {
  paused_ = false;
  if (stream_ != nullptr) stream_->resume();
}

void Fetch::on_informational(const http::ResponseHead& head) {
  events_.on_fetch_informational(head);
}

void Fetch::on_head(const http::ResponseHead& head) {
  state_ = State::body;
  if (counts_as_failure(head.status)) {
    ticket_->failed(loop_.now());
  } else {
    ticket_->succeeded(loop_.now());
  }
  events_.on_fetch_head(head);
}

void Fetch::on_body(std::string_view piece) { events_.on_fetch_body(piece); }

void Fetch::on_end(const http::FieldList& trailers, bool proven) {
  const http::FieldList kept = trailers;  // the stream that owns them ends here
  loop_.retire(std::move(stream_));
  end();
  events_.on_fetch_end(kept, proven);
}

bool Fetch::may_repeat(const Error& error) const {
  if (state_ != State::waiting_head || body_begun_) return false;
  if (tries_ > request_.retries || error.side == Error::Side::client) return false;
  if (error.retry == Error::Retry::yes) return true;
  return http::is_safe_method(request_.head.method);
}

void Fetch::on_error(Error error) {
  const bool stale_connection =
      error.retry != Error::Retry::no && stream_ != nullptr && stream_->reused_connection();
  loop_.retire(std::move(stream_));
  // A kept-alive connection that its server had closed says nothing about the server; nor does a
  // bound of ours, or a request that can't be sent.
  const bool innocent =
      stale_connection || error.side != Error::Side::upstream || error.kind == Error::Kind::busy;
  if (!innocent) ticket_->failed(loop_.now());
  if (may_repeat(error) && group_->may_retry()) {
    if (stale_connection) tried_.pop_back();
    ticket_.reset();
    attempt();
    return;
  }
  end();
  events_.on_fetch_error(error);
}

void Fetch::on_writable() { events_.on_fetch_writable(); }

}  // namespace bw::edge
