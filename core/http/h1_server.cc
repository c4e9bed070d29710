// Reads requests of an HTTP/1.x connection, and ends it: deadlines, refusals, draining.
#include "core/http/h1_server.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/http/h1_syntax.h"

namespace bw::http {
namespace {

// Bodies up to that size are copied behind their heads: less than a pin and a segment cost.
constexpr size_t kSmallBody = 1024;

H1Limits parser_limits(const ServerLimits& limits) {
  return {.max_header_size = limits.max_header_size,
          .max_headers = limits.max_headers,
          .max_uri = limits.max_uri};
}

Error client_error(Error::Kind kind, std::string_view text) {
  return {.kind = kind, .side = Error::Side::client, .text = text};
}

}  // namespace

std::unique_ptr<ServerConnection> make_h1_server_connection(ServerConnectionParts parts) {
  return std::make_unique<H1ServerConnection>(std::move(parts));
}

H1ServerConnection::H1ServerConnection(ServerConnectionParts parts)
    : loop_(parts.loop),
      connection_(std::move(parts.connection)),
      peer_(parts.peer),
      service_(parts.service),
      limits_(parts.limits),
      counters_(parts.counters),
      closed_(std::move(parts.closed)),
      parser_(parser_limits(limits_), peer_.tls ? "https" : "http"),
      timer_(loop_, [this] { on_timer(); }),
      idle_since_(loop_.now()) {
  watch_deadlines();
}

// --- reading

size_t H1ServerConnection::on_data(std::string_view bytes) {
  const size_t used = read_requests(bytes);
  if (closing_ || dead_) return bytes.size();
  update_reading(bytes.size() - used);
  watch_deadlines();
  return used;
}

size_t H1ServerConnection::read_requests(std::string_view bytes) {
  size_t used = 0;
  budget_ = kTurnBudget;
  in_data_ = true;
  for (bool more = true; more && !blocked();) {
    if (stream_ == nullptr) parser_.fill(H1SpareStreams::of_thread().next_head());
    const H1Step step = parser_.next(bytes.substr(used));
    used += step.consumed;
    switch (step.event) {
      case H1Event::need_more:
        if (!parser_.in_message() && used < bytes.size() && !in_head_) {
          in_head_ = true;
          head_since_ = loop_.now();
        }
        more = false;
        break;
      case H1Event::head:
        start_stream();
        break;
      case H1Event::body:
        on_body_piece(step.body);
        break;
      case H1Event::end:
        on_request_whole();
        break;
      case H1Event::informational:
      case H1Event::failed:
        ++counters_.malformed;
        refuse(parser_.fault().status, parser_.fault().text,
               client_error(Error::Kind::malformed, parser_.fault().text));
        break;
    }
  }
  in_data_ = false;
  judge_early_answer();
  if (budget_ <= 0 && !closing_ && !dead_) look_again();
  return used;
}

// What stops reading: each reason ends with a call of update_reading().
bool H1ServerConnection::blocked() const {
  if (closing_ || dead_ || budget_ <= 0) return true;
  if (stream_ == nullptr) return waiting() > net::Connection::kHighWater;
  return stream_->request_whole_ || (stream_->body_paused_ && !stream_->finished_);
}

void H1ServerConnection::start_stream() {
  in_head_ = false;
  --budget_;
  std::unique_ptr<H1ServerStream> taken = H1SpareStreams::of_thread().take();
  H1ServerStream* const stream = taken.get();
  stream->reuse(*this);
  if (stream->head_.content_length.value_or(0) > limits_.max_body_size) {
    H1SpareStreams::retire(loop_, std::move(taken));
    refuse(413, "request body too large", client_error(Error::Kind::too_large, "request body"));
    return;
  }
  stream_ = std::move(taken);
  stream->keep_ = parser_.keep_alive();
  if (stream->head_.has_body && stream->head_.version == Version::http11) {
    const auto expect = stream->head_.fields.find(FieldId::expect);
    stream->continue_awaited_ = expect && equals_ignoring_case(*expect, "100-continue");
  }
  if (stream->head_.has_body) body_since_ = loop_.now();
  ++counters_.requests_http1;
  std::unique_ptr<StreamHandler> handler = service_.on_request(*stream);
  BW_CHECK(handler != nullptr);
  // Aborted meanwhile or not, it lives until the next turn at least.
  stream->handler_ = std::move(handler);
  if (stream_.get() == stream && !stream->body_paused_) send_continue();
}

void H1ServerConnection::on_body_piece(std::string_view piece) {
  H1ServerStream& stream = *stream_;
  stream.continue_awaited_ = false;  // the client didn't wait for it
  if (stream.finished_) {
    stream.unread_ += piece.size();
    return;
  }
  stream.body_bytes_ += piece.size();
  if (stream.body_bytes_ > limits_.max_body_size) {
    refuse(413, "request body too large", client_error(Error::Kind::too_large, "request body"));
    return;
  }
  stream.handler_->on_body(piece);
}

void H1ServerConnection::on_request_whole() {
  H1ServerStream* const stream = stream_.get();
  stream->request_whole_ = true;
  stream->handler_->on_body_end(parser_.trailers());
  if (stream_.get() == stream && stream->finished_) complete();
}

void H1ServerConnection::send_continue() {
  if (stream_ != nullptr && stream_->continue_awaited_) stream_->send_informational(100, {});
}

// The response was finished before its request was whole.
void H1ServerConnection::judge_early_answer() {
  if (stream_ == nullptr || !stream_->finished_ || stream_->request_whole_) return;
  const uint64_t left = parser_.body_left();
  const bool known = left != UINT64_MAX;
  if (stream_->continue_awaited_ || stream_->unread_ > kReadAfterAnswer ||
      (known && left > kReadAfterAnswer)) {
    stream_->keep_ = false;
    complete();
  }
}

void H1ServerConnection::update_reading(size_t left_over) {
  if (in_data_ || closing_ || dead_) return;
  if (blocked()) {
    const bool body = stream_ != nullptr && stream_->body_paused_;
    if (reading_paused_ || (left_over == 0 && !body)) return;
    reading_paused_ = true;
    connection_->pause_reading();
  } else if (reading_paused_) {
    reading_paused_ = false;
    connection_->resume_reading();
    // Bytes kept by the connection come again by themselves; the mere end of a body doesn't.
    if (parser_.in_message() && parser_.body_left() == 0) look_again();
  }
}

void H1ServerConnection::look_again() {
  if (!later_) later_.emplace(loop_, [this] { on_later(); });
  later_->arm(Duration::zero());
}

void H1ServerConnection::on_later() {
  on_progress();
  if (dead_) return;
  budget_ = kTurnBudget;
  if (parser_.in_message() && parser_.body_left() == 0 && !blocked()) read_requests({});
  update_reading(0);
  watch_deadlines();
}

void H1ServerConnection::on_end() {
  client_ended_ = true;
  if (closing_ || dead_) return;
  if (stream_ == nullptr) {
    close_when_sent();
  } else if (!stream_->request_whole_) {
    refuse(0, {}, client_error(Error::Kind::closed, "request broke off"));
  }
  // Else a half close: the answer still goes out.
  watch_deadlines();
}

// --- writing

void H1ServerConnection::queue(Slice bytes) {
  if (dead_ || closing_) return;
  const size_t size = bytes.size();
  if (size <= kSmallBody) {
    connection_->write_copy(bytes.view());
  } else {
    connection_->write(std::move(bytes));
  }
  on_queued(size);
}

void H1ServerConnection::queue_text(std::string_view bytes) {
  if (dead_ || closing_) return;
  connection_->write_copy(bytes);
  on_queued(bytes.size());
}

void H1ServerConnection::on_queued(size_t bytes) {
  if (waiting() == 0) output_since_ = loop_.now();
  queued_ += bytes;
  if (!in_data_) watch_deadlines();
}

bool H1ServerConnection::can_take_more() const {
  return !dead_ && waiting() <= net::Connection::kHighWater;
}

void H1ServerConnection::on_drained() {
  if (stream_ != nullptr && stream_->output_open() && stream_->handler_ != nullptr) {
    stream_->handler_->on_writable();
  }
  update_reading(0);
}

void H1ServerConnection::on_progress() {
  // Kept as a count: of a dead connection nobody could tell what had left.
  taken_ = std::max(taken_, queued_ - connection_->buffered());
  H1StreamList sent;
  while (!dead_ && !leaving_.empty() && leaving_.front().end_mark_ <= taken_) {
    std::unique_ptr<H1ServerStream> stream = leaving_.pop_front();
    stream->handler_->on_sent();
    sent.push_back(std::move(stream));
  }
  H1SpareStreams::retire(loop_, std::move(sent));
}

void H1ServerConnection::on_finished() {
  if (stream_->request_whole_) {
    complete();
  } else if (!in_data_) {
    judge_early_answer();
    update_reading(0);
    watch_deadlines();
  }
}

// The current stream is over but for the bytes that still have to leave.
void H1ServerConnection::complete() {
  const bool keep = stream_->keep_ && !draining_ && !client_ended_;
  stream_->ended_ = true;
  idle_since_ = loop_.now();
  if (taken_ >= stream_->end_mark_) look_again();  // no more progress will tell
  leaving_.push_back(std::move(stream_));
  if (!keep) {
    close_when_sent();
  } else if (!in_data_) {
    update_reading(0);
    watch_deadlines();
  }
}

// --- ends

// The client's fault: its answer, if none was begun, and the end of the connection.
void H1ServerConnection::refuse(int status, std::string_view text, Error error) {
  if (stream_ != nullptr && stream_->finished_) {  // what it spoilt is only the rest of its request
    stream_->keep_ = false;
    complete();
    return;
  }
  std::unique_ptr<H1ServerStream> stream = std::move(stream_);
  if (stream == nullptr || !stream->head_sent_) {
    if (status != 0) send_refusal(status, text);
    close_when_sent();
  } else {
    end_visibly(*stream);
  }
  if (stream != nullptr) drop_stream(std::move(stream), &error);
}

void H1ServerConnection::send_refusal(int status, std::string_view text) {
  const std::string body = std::string(text) + "\n";
  ResponseHead head;
  head.status = status;
  head.fields.add(FieldId::content_type, "text/plain");
  std::string out;
  append_response_head(out, head, H1Framing::length, body.size(), "close", date_now(loop_));
  queue_text(out += body);
}

void H1ServerConnection::abort_current(Error error, bool tell) {
  std::unique_ptr<H1ServerStream> stream = std::move(stream_);
  end_visibly(*stream);
  if (!tell) {
    drop_stream(std::move(stream), nullptr);
    return;
  }
  stream->ended_ = true;
  // Not inside the handler's own call of finish().
  loop_.post([&loop = loop_, error, held = std::move(stream)]() mutable {
    if (held->handler_ != nullptr) held->handler_->on_abort(error);
    H1SpareStreams::retire(loop, std::move(held));
  });
}

// Ends the connection so that the client can't take what it has of `stream` for a whole response.
void H1ServerConnection::end_visibly(const H1ServerStream& stream) {
  const bool looks_whole =
      stream.head_sent_ &&
      (!stream.has_body_ || stream.framing_ == H1Framing::until_close ||
       (stream.framing_ == H1Framing::length && stream.given_ >= stream.promised_));
  if (!looks_whole) {
    close_when_sent();
    return;
  }
  connection_->close(true);
  on_error(Error{.kind = Error::Kind::cancelled, .text = "connection was reset"});
}

void H1ServerConnection::close_when_sent() {
  if (closing_ || dead_) return;
  closing_ = true;
  connection_->close_after_flush();
}

void H1ServerConnection::drop_stream(std::unique_ptr<H1ServerStream> stream, const Error* error) {
  stream->ended_ = true;
  if (error != nullptr && stream->handler_ != nullptr) stream->handler_->on_abort(*error);
  H1SpareStreams::retire(loop_, std::move(stream));
}

void H1ServerConnection::on_error(Error error) {
  if (dead_) return;
  dead_ = true;
  timer_.cancel();
  if (later_) later_->cancel();
  H1StreamList leaving = std::move(leaving_);
  std::unique_ptr<H1ServerStream> current = std::move(stream_);
  while (!leaving.empty()) drop_stream(leaving.pop_front(), &error);
  if (current != nullptr) drop_stream(std::move(current), &error);
  Task closed = std::exchange(closed_, nullptr);
  if (closed) closed();
}

void H1ServerConnection::drain() {
  draining_ = true;
  if (stream_ == nullptr && !in_head_) close_when_sent();
}

void H1ServerConnection::close() {
  if (dead_) return;
  connection_->close(stream_ != nullptr || connection_->buffered() > 0);
  on_error(Error{.kind = Error::Kind::cancelled, .text = "server closes"});
}

// --- deadlines

std::optional<MonoTime> H1ServerConnection::next_deadline() const {
  if (dead_) return std::nullopt;
  std::optional<MonoTime> next;
  const auto add = [&next](MonoTime since, Duration limit) {
    if (limit > Duration::zero() && (!next || since + limit < *next)) next = since + limit;
  };
  const bool sending = connection_->buffered() > 0;
  if (sending) {
    add(std::max(connection_->last_write_progress(), output_since_), limits_.send_timeout);
  }
  if (closing_) return next;
  if (stream_ != nullptr) {
    if (!stream_->request_whole_ && !stream_->body_paused_) {
      add(std::max(connection_->last_read(), body_since_), limits_.body_timeout);
    }
  } else if (in_head_) {
    add(head_since_, limits_.header_timeout);
  } else if (!sending) {
    add(std::max(idle_since_, connection_->last_write_progress()), limits_.idle_timeout);
  }
  return next;
}

void H1ServerConnection::watch_deadlines() {
  const std::optional<MonoTime> next = next_deadline();
  if (!next || (timer_.armed() && timer_due_ <= *next)) return;
  timer_due_ = *next;
  timer_.arm(std::max(Duration::zero(), *next - loop_.now()));
}

void H1ServerConnection::on_timer() {
  const std::optional<MonoTime> next = next_deadline();
  if (next && *next <= loop_.now()) {
    const MonoTime written = std::max(connection_->last_write_progress(), output_since_);
    if (connection_->buffered() > 0 && written + limits_.send_timeout <= loop_.now()) {
      connection_->close(true);
      on_error(client_error(Error::Kind::timeout, "client takes no more"));
      return;
    }
    if (stream_ != nullptr) {
      refuse(408, "request body too slow", client_error(Error::Kind::timeout, "request body"));
    } else if (in_head_) {
      send_refusal(408, "request head too slow");
      close_when_sent();
    } else {
      close_when_sent();  // idle
    }
  }
  watch_deadlines();
}

}  // namespace bw::http
