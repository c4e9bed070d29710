// What a handler says to its client over HTTP/1.x: head, body and end as bytes of the connection.
#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/http/h1_server.h"

namespace bw::http {

H1StreamList::~H1StreamList() {
  while (!empty()) pop_front();
}

void H1StreamList::push_back(std::unique_ptr<H1ServerStream> stream) {
  H1ServerStream* const added = stream.release();
  (first_ == nullptr ? first_ : last_->next_) = added;
  last_ = added;
}

std::unique_ptr<H1ServerStream> H1StreamList::pop_front() {
  std::unique_ptr<H1ServerStream> stream(first_);
  first_ = std::exchange(stream->next_, nullptr);
  return stream;
}

H1SpareStreams& H1SpareStreams::of_thread() {
  thread_local H1SpareStreams spare;
  return spare;
}

RequestHead& H1SpareStreams::next_head() {
  if (spare_.empty()) spare_.push_back(std::make_unique<H1ServerStream>());
  return spare_.back()->head_;
}

std::unique_ptr<H1ServerStream> H1SpareStreams::take() {
  std::unique_ptr<H1ServerStream> stream = std::move(spare_.back());
  spare_.pop_back();
  return stream;
}

void H1SpareStreams::put(std::unique_ptr<H1ServerStream> stream) {
  stream->handler_.reset();
  stream->connection_ = nullptr;
  const RequestHead& head = stream->head_;
  if (spare_.size() >= kMost || head.fields.memory() + head.target.capacity() > kLargestHead)
    return;
  spare_.push_back(std::move(stream));
}

void H1SpareStreams::retire(net::Loop& loop, H1StreamList streams) {
  if (streams.empty()) return;
  loop.post([held = std::move(streams)]() mutable {
    H1SpareStreams& spare = of_thread();
    while (!held.empty()) spare.put(held.pop_front());
  });
}

void H1SpareStreams::retire(net::Loop& loop, std::unique_ptr<H1ServerStream> stream) {
  H1StreamList one;
  one.push_back(std::move(stream));
  retire(loop, std::move(one));
}

void H1ServerStream::reuse(H1ServerConnection& connection) {
  connection_ = &connection;
  request_whole_ = body_paused_ = continue_awaited_ = keep_ = false;
  head_sent_ = finished_ = ended_ = has_body_ = false;
  framing_ = H1Framing::none;
  body_bytes_ = unread_ = promised_ = given_ = end_mark_ = 0;
  start_mark_ = connection.queued_;
}

const PeerInfo& H1ServerStream::peer() const { return connection_->peer_; }
net::Loop& H1ServerStream::loop() const { return connection_->loop_; }

void H1ServerStream::send_informational(int status, const FieldList& fields) {
  if (!output_open() || head_sent_ || status < 100 || status > 199) return;
  if (status == 100) {
    if (!continue_awaited_) return;  // not asked for, or told already
    continue_awaited_ = false;
    connection_->body_since_ = loop().now();
  }
  // RFC 9110 section 15.2: never to an HTTP/1.0 client.
  if (head_.version == Version::http10) return;
  thread_local std::string text;
  text.clear();
  append_informational(text, status, fields);
  connection_->queue_text(text);
}

std::string_view H1ServerStream::begin_response(int status,
                                                std::optional<uint64_t> content_length) {
  head_sent_ = true;
  // Whether the expected body still comes can't be told after this.
  if (continue_awaited_ || connection_->draining_ || connection_->client_ended_) keep_ = false;
  has_body_ = response_has_body(head_.method, status);
  promised_ = content_length.value_or(0);
  if (!has_body_) {
    const bool told = content_length && status != 204 && head_.method != "CONNECT";
    framing_ = told ? H1Framing::length : H1Framing::none;
  } else if (content_length) {
    framing_ = H1Framing::length;
  } else if (head_.version == Version::http11) {
    framing_ = H1Framing::chunked;
  } else {
    framing_ = H1Framing::until_close;
    keep_ = false;
  }
  if (!keep_) return "close";
  return head_.version == Version::http10 ? "keep-alive" : "";
}

void H1ServerStream::send_head(const ResponseHead& head) {
  if (!output_open() || head_sent_) return;
  const std::string_view connection = begin_response(head.status, head.content_length);
  thread_local std::string text;
  text.clear();
  append_response_head(text, head, framing_, promised_, connection, date_now(loop()));
  connection_->queue_text(text);
}

void H1ServerStream::send_prepared(const PreparedHead& head, std::span<const Field> more) {
  if (!output_open() || head_sent_) return;
  const std::string_view connection = begin_response(head.status(), head.content_length());
  thread_local std::string text;
  text.clear();
  append_prepared_head(text, head, more, framing_, promised_, connection,
                       head.dated() ? std::string_view() : date_now(loop()));
  connection_->queue_text(text);
}

void H1ServerStream::send_body(Slice piece) {
  if (!output_open() || !head_sent_ || !has_body_) return;
  if (framing_ == H1Framing::length && piece.size() > promised_ - given_) {
    piece = piece.part(0, static_cast<size_t>(promised_ - given_));  // never past the promise
  }
  if (piece.empty()) return;
  given_ += piece.size();
  if (framing_ != H1Framing::chunked) {
    connection_->queue(std::move(piece));
    return;
  }
  thread_local std::string text;
  text.clear();
  append_chunk_size(text, piece.size());
  connection_->queue_text(text);
  connection_->queue(std::move(piece));
  connection_->queue(Slice::of_static("\r\n"));
}

void H1ServerStream::finish(const FieldList* trailers) {
  if (!output_open()) return;
  if (!head_sent_ || (has_body_ && framing_ == H1Framing::length && given_ < promised_)) {
    connection_->abort_current(Error{.kind = Error::Kind::internal,
                                     .side = Error::Side::self,
                                     .text = "response ended short of its promise"},
                               true);
    return;
  }
  if (has_body_ && framing_ == H1Framing::chunked) {
    thread_local std::string text;
    text.clear();
    append_last_chunk(text, trailers);
    connection_->queue_text(text);
  }
  finished_ = true;
  end_mark_ = connection_->queued_;
  connection_->on_finished();
}

void H1ServerStream::abort(Error error) {
  if (output_open()) connection_->abort_current(error, false);
}

bool H1ServerStream::wants_more() const { return output_open() && connection_->can_take_more(); }

uint64_t H1ServerStream::bytes_sent() const {
  if (connection_ == nullptr) return 0;
  const uint64_t end = finished_ ? end_mark_ : connection_->queued_;
  const uint64_t taken = std::min(connection_->taken_, end);
  return taken > start_mark_ ? taken - start_mark_ : 0;
}

size_t H1ServerStream::buffered() const {
  if (connection_ == nullptr) return 0;
  const uint64_t end = finished_ ? end_mark_ : connection_->queued_;
  const uint64_t begin = std::max(connection_->taken_, start_mark_);
  return end > begin ? static_cast<size_t>(end - begin) : 0;
}

void H1ServerStream::pause_body() {
  if (ended_ || finished_ || request_whole_) return;
  body_paused_ = true;
  connection_->update_reading(0);
}

void H1ServerStream::resume_body() {
  if (ended_ || !body_paused_) return;
  body_paused_ = false;
  connection_->body_since_ = loop().now();
  connection_->send_continue();
  connection_->update_reading(0);
  connection_->watch_deadlines();
}

}  // namespace bw::http
