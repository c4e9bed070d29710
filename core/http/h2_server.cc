// Begins and ends an HTTP/2 connection of a client: streams, deadlines, draining.
#include "core/http/h2_server.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace bw::http {
namespace {

// How long a client has to answer the ping behind the first GOAWAY of a drain.
constexpr Duration kDrainNotice = std::chrono::seconds(1);

H2Limits session_limits(const ServerLimits& limits) {
  return {
      .server = true, .max_streams = limits.max_streams, .max_header_list = limits.max_header_size};
}

Error client_error(Error::Kind kind, std::string_view text) {
  return {.kind = kind, .side = Error::Side::client, .text = text};
}

Duration shortest_of(const ServerLimits& limits) {
  Duration shortest = Duration::zero();
  for (Duration d :
       {limits.header_timeout, limits.body_timeout, limits.send_timeout, limits.idle_timeout}) {
    if (d > Duration::zero() && (shortest == Duration::zero() || d < shortest)) shortest = d;
  }
  return shortest;
}

}  // namespace

std::unique_ptr<ServerConnection> make_h2_server_connection(ServerConnectionParts parts) {
  return std::make_unique<H2ServerConnection>(std::move(parts));
}

H2ServerConnection::H2ServerConnection(ServerConnectionParts parts)
    : loop_(parts.loop),
      connection_(std::move(parts.connection)),
      peer_(parts.peer),
      service_(parts.service),
      limits_(parts.limits),
      counters_(parts.counters),
      closed_(std::move(parts.closed)),
      idle_since_(loop_.now()),
      shortest_(shortest_of(limits_)),
      timer_(loop_, [this] { on_timer(); }) {
  H2Session::Owner& owner = *this;
  session_ = std::make_unique<H2Session>(loop_, *connection_, owner, session_limits(limits_));
  watch_deadlines();
}

H2ServerConnection::~H2ServerConnection() = default;

size_t H2ServerConnection::on_data(std::string_view bytes) {
  if (!closing_ && !dead_) {
    session_->receive(bytes);
    watch_deadlines();
  }
  return bytes.size();
}

void H2ServerConnection::on_progress() {
  if (connection_->buffered() == 0) busy_since_ = {};
  if (!dead_) session_->on_progress();
}

void H2ServerConnection::on_end() {
  if (closing_ || dead_) return;
  // Half a close: whole requests are still answered.
  std::vector<H2ServerStream*> broken;
  for (const auto& stream : streams_) {
    if (!stream->whole_) broken.push_back(stream.get());
  }
  for (H2ServerStream* stream : broken) {
    stream->tell_abort(client_error(Error::Kind::closed, "request broke off"));
    session_->reset(*stream, H2Code::cancel);
  }
  go_away();
}

void H2ServerConnection::on_error(Error error) {
  if (std::exchange(dead_, true)) return;
  timer_.cancel();
  session_->quit();
  abort_all(error);
  Task closed = std::exchange(closed_, nullptr);
  if (closed) closed();
}

H2Stream* H2ServerConnection::on_stream_begin() {
  if (closing_ || dead_ || gone_away_ || streams_.size() >= limits_.max_streams) return nullptr;
  streams_.push_back(take_h2_stream());
  H2ServerStream& stream = *streams_.back();
  stream.reuse(*this);
  stream.place_ = streams_.size() - 1;
  return &stream;
}

void H2ServerConnection::remove(H2ServerStream& stream) {
  if (dead_ || closing_) return;  // abort_all has taken them
  const size_t place = stream.place_;
  BW_CHECK(place < streams_.size() && streams_[place].get() == &stream);
  retire_stream(loop_, std::move(streams_[place]));
  if (place + 1 < streams_.size()) {
    streams_[place] = std::move(streams_.back());
    streams_[place]->place_ = place;
  }
  streams_.pop_back();
  if (!streams_.empty()) return;
  idle_since_ = loop_.now();
  if (gone_away_) session_->schedule();
}

void H2ServerConnection::abort_all(Error error) {
  auto streams = std::exchange(streams_, {});
  for (auto& stream : streams) stream->tell_abort(error);
  for (auto& stream : streams) retire_stream(loop_, std::move(stream));
}

void H2ServerConnection::drain() {
  if (closing_ || dead_ || draining_) return;
  draining_ = true;
  if (streams_.empty()) {
    go_away();
    return;
  }
  // RFC 9113 section 6.8: requests that are on their way now are still answered.
  drain_since_ = loop_.now();
  session_->goaway(H2Code::no_error, true);
  session_->ping();
  watch_deadlines();
}

void H2ServerConnection::on_ping_answered() {
  if (draining_) go_away();
}

void H2ServerConnection::go_away() {
  if (gone_away_ || closing_ || dead_) return;
  draining_ = gone_away_ = true;
  session_->goaway(H2Code::no_error, false);
}

void H2ServerConnection::on_flushed() {
  if (closing_ || dead_) return;
  if (connection_->buffered() > 0 && busy_since_ == MonoTime{}) busy_since_ = loop_.now();
  const bool under_way = std::any_of(streams_.begin(), streams_.end(),
                                     [](const auto& stream) { return !stream->closed_; });
  // With GOAWAY a session is finished too once its streams are: those may still have to leave.
  if (session_->finished() && (under_way || !gone_away_)) {
    end(client_error(Error::Kind::malformed, "HTTP/2 connection error"));
  } else if (gone_away_ && streams_.empty()) {
    end({});
  }
  watch_deadlines();
}

void H2ServerConnection::end(Error error) {
  if (closing_ || dead_) return;
  if (error.kind == Error::Kind::malformed || error.kind == Error::Kind::too_large) {
    ++counters_.malformed;
  }
  closing_ = true;
  session_->quit();
  abort_all(error);
  connection_->close_after_flush();
}

void H2ServerConnection::close() {
  if (dead_) return;
  connection_->close(!streams_.empty() || connection_->buffered() > 0);
  on_error(Error{.kind = Error::Kind::cancelled, .text = "server closes"});
}

// --- deadlines

// While the connection is full a stream's turn is not the client's fault, if it takes any.
MonoTime H2ServerConnection::output_since(const H2ServerStream& stream) const {
  const MonoTime busy =
      connection_->buffered() > 0 ? connection_->last_write_progress() : MonoTime{};
  return std::max(stream.last_out_, busy);
}

std::optional<MonoTime> H2ServerConnection::next_deadline() const {
  if (dead_) return std::nullopt;
  std::optional<MonoTime> next;
  const auto add = [&next](MonoTime since, Duration limit) {
    if (limit > Duration::zero() && (!next || since + limit < *next)) next = since + limit;
  };
  if (connection_->buffered() > 0 && busy_since_ != MonoTime{}) {
    add(std::max(connection_->last_write_progress(), busy_since_), limits_.send_timeout);
  }
  if (closing_) return next;
  if (session_->header_since() != MonoTime{}) add(session_->header_since(), limits_.header_timeout);
  if (draining_ && !gone_away_) add(drain_since_, kDrainNotice);
  for (const auto& stream : streams_) {
    if (stream->waits_for_input()) add(stream->last_in_, limits_.body_timeout);
    if (stream->waits_for_output()) add(output_since(*stream), limits_.send_timeout);
  }
  if (streams_.empty()) add(idle_since_, limits_.idle_timeout);
  return next;
}

// New deadlines are at least the shortest away: the streams are looked at when the timer fires.
void H2ServerConnection::watch_deadlines() {
  if (dead_) return;
  Duration after = shortest_;
  if (draining_ && !gone_away_ && (after == Duration::zero() || kDrainNotice < after)) {
    after = kDrainNotice;
  }
  if (after == Duration::zero()) return;
  const MonoTime due = loop_.now() + after;
  if (timer_.armed() && timer_due_ <= due) return;
  timer_due_ = due;
  timer_.arm(after);
}

void H2ServerConnection::on_timer() {
  const MonoTime now = loop_.now();
  const auto passed = [now](MonoTime since, Duration limit) {
    return limit > Duration::zero() && since + limit <= now;
  };
  if (connection_->buffered() > 0 && busy_since_ != MonoTime{} &&
      passed(std::max(connection_->last_write_progress(), busy_since_), limits_.send_timeout)) {
    connection_->close(true);
    on_error(client_error(Error::Kind::timeout, "client takes no more"));
    return;
  }
  if (!closing_) {
    if (session_->header_since() != MonoTime{} &&
        passed(session_->header_since(), limits_.header_timeout)) {
      session_->goaway(H2Code::enhance_your_calm, false);
      session_->flush_last();
      end(client_error(Error::Kind::timeout, "request head too slow"));
    } else if (streams_.empty() && passed(idle_since_, limits_.idle_timeout)) {
      go_away();
    } else if (draining_ && passed(drain_since_, kDrainNotice)) {
      go_away();
    }
    std::vector<H2ServerStream*> all;
    for (const auto& stream : streams_) all.push_back(stream.get());
    for (H2ServerStream* stream : all) {
      if (dead_ || closing_) break;
      if (stream->waits_for_input() && passed(stream->last_in_, limits_.body_timeout)) {
        stream->refuse(408, "request body too slow",
                       client_error(Error::Kind::timeout, "request body"));
      } else if (stream->waits_for_output() &&
                 passed(output_since(*stream), limits_.send_timeout)) {
        stream->tell_abort(client_error(Error::Kind::timeout, "client takes no more"));
        session_->reset(*stream, H2Code::cancel);
      }
    }
  }
  if (const auto next = next_deadline()) {
    timer_due_ = std::max(*next, now);
    timer_.arm(timer_due_ - now);
  }
}

}  // namespace bw::http
