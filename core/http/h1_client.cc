// A connection to a server that speaks HTTP/1.1: one request at a time, the next once the response
// has shown its own end and the request is sent whole.
#include <utility>
#include <vector>

#include "core/http/client_session.h"
#include "core/http/h1_parser.h"
#include "core/http/h1_syntax.h"
#include "core/http/h1_writer.h"

namespace bw::http {
namespace {

// How long a body waits for 100 (Continue) before it is sent unasked (RFC 9110 section 10.1.1).
constexpr Duration kExpectWait = std::chrono::seconds(1);
// 1xx responses in front of one response; more are no server's.
constexpr uint32_t kMaxInformational = 32;

H1Limits parser_limits(const ClientLimits& limits) {
  return {.max_header_size = limits.max_header_size, .max_headers = limits.max_headers};
}

class H1ClientSession final : public ClientSession, private Carrier {
 public:
  explicit H1ClientSession(const ClientSessionParts& parts)
      : connection_(parts.connection),
        owner_(parts.owner),
        loop_(parts.loop),
        parser_(parser_limits(parts.limits)),
        expect_timer_(parts.loop, [this] { release_body(); }),
        alive_(std::make_shared<H1ClientSession*>(this)) {}
  ~H1ClientSession() override {
    *alive_ = nullptr;
    if (const auto request = std::exchange(request_, nullptr)) request->detach();
  }

  size_t room() const override { return open() && request_ == nullptr ? 1 : 0; }
  bool open() const override { return !closed_; }
  bool idle() const override { return request_ == nullptr; }
  bool carry(std::shared_ptr<ClientRequest> request) override;
  void close() override {
    if (idle()) shut(false);
  }

 private:
  size_t on_data(std::string_view bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override {
    if (upload_done_ || holding_) return;
    if (const auto request = request_) request->on_writable();
  }
  void on_progress() override {
    if (request_ != nullptr) request_->touch();
  }

  void send_body(Slice piece) override;
  void finish(const FieldList* trailers) override;
  bool wants_more() const override {
    return open() && !holding_ && connection_.buffered() <= net::Connection::kHighWater;
  }
  void pause() override {
    paused_ = true;
    connection_.pause_reading();
  }
  void resume() override;
  void cancel() override {
    request_.reset();
    shut(!upload_done_);
  }

  size_t read(std::string_view bytes);
  void on_interim();
  void release_body();
  void complete(bool proven, bool input_left);
  void fail(Error error);
  void refuse_upload(std::string_view text);
  Error parse_error() const;
  void shut(bool reset);

  net::Connection& connection_;
  ClientSessionOwner& owner_;
  net::Loop& loop_;
  H1ResponseParser parser_;
  net::Timer expect_timer_;
  std::shared_ptr<H1ClientSession*> alive_;
  std::shared_ptr<ClientRequest> request_;
  bool closed_ = false;
  bool paused_ = false;
  bool answered_ = false;  // a byte of the response came
  uint32_t interims_ = 0;
  uint64_t carried_ = 0;

  bool upload_done_ = true;
  bool chunked_ = false;
  uint64_t upload_left_ = 0;  // of a body whose length was told
  bool holding_ = false;      // the body waits for 100 (Continue)
  std::vector<Slice> held_;
  bool held_end_ = false;
  FieldList held_trailers_;
};

bool H1ClientSession::carry(std::shared_ptr<ClientRequest> request) {
  const RequestHead& head = request->head();
  std::string bytes;
  if (!append_request_head(bytes, head, false)) return false;
  parser_.expect(head.method);
  answered_ = paused_ = held_end_ = false;
  interims_ = 0;
  chunked_ = head.has_body && !head.content_length;
  upload_left_ = head.content_length.value_or(0);
  upload_done_ = !head.has_body;
  const auto expect = head.fields.find(FieldId::expect);
  holding_ = head.has_body && expect && equals_ignoring_case(*expect, "100-continue");
  if (holding_) expect_timer_.arm(kExpectWait);
  connection_.write_copy(bytes);
  request_ = std::move(request);
  const std::shared_ptr<ClientRequest> carried = request_;
  carried->attach(*this, carried_++ > 0);
  return true;
}

void H1ClientSession::send_body(Slice piece) {
  if (request_ == nullptr || upload_done_ || piece.empty()) return;
  if (holding_) {
    held_.push_back(std::move(piece));
    return;
  }
  if (!chunked_) {
    if (piece.size() > upload_left_) return refuse_upload("request body longer than its length");
    upload_left_ -= piece.size();
    connection_.write(std::move(piece));
    return;
  }
  std::string line;
  append_chunk_size(line, piece.size());
  connection_.write_copy(line);
  connection_.write(std::move(piece));
  connection_.write(Slice::of_static("\r\n"));
}

void H1ClientSession::finish(const FieldList* trailers) {
  if (request_ == nullptr || upload_done_) return;
  if (holding_) {
    held_end_ = true;
    held_trailers_ = trailers == nullptr ? FieldList() : *trailers;
    return;
  }
  if (upload_left_ > 0) return refuse_upload("request body shorter than its length");
  upload_done_ = true;
  if (!chunked_) return;
  std::string last;
  append_last_chunk(last, trailers);
  connection_.write_copy(last);
}

void H1ClientSession::release_body() {
  if (!std::exchange(holding_, false)) return;
  expect_timer_.cancel();
  const std::vector<Slice> held = std::exchange(held_, {});
  for (const Slice& piece : held) send_body(piece);
  if (held_end_) {
    finish(&held_trailers_);
  } else if (const auto request = request_; request != nullptr && wants_more()) {
    request->on_writable();
  }
}

void H1ClientSession::resume() {
  paused_ = false;
  connection_.resume_reading();
  // The end of a message whose bytes were all read is told without further bytes.
  if (!parser_.in_message() || parser_.body_left() > 0) return;
  loop_.post([alive = alive_] {
    if (H1ClientSession* self = *alive; self != nullptr && self->request_ != nullptr) {
      if (!self->paused_ && self->parser_.in_message() && self->parser_.body_left() == 0) {
        self->read({});
      }
    }
  });
}

size_t H1ClientSession::on_data(std::string_view bytes) {
  // Nobody asked: a 408, or what would be taken for the next answer.
  if (request_ == nullptr) {
    shut(false);
    return bytes.size();
  }
  if (!bytes.empty()) {
    if (!answered_) request_->touch();
    answered_ = true;
  }
  return read(bytes);
}

// Tells steps until there are no more, the request is gone, or its reader pauses.
size_t H1ClientSession::read(std::string_view bytes) {
  size_t used = 0;
  const std::shared_ptr<ClientRequest> request = request_;
  while (request_ == request && !closed_ && !paused_) {
    const H1Step step = parser_.next(bytes.substr(used));
    used += step.consumed;
    switch (step.event) {
      case H1Event::need_more:
        return used;
      case H1Event::informational:
        on_interim();
        break;
      case H1Event::head:
        request->on_head(parser_.head());
        break;
      case H1Event::body:
        request->on_body(step.body);
        break;
      case H1Event::end:
        complete(parser_.proven(), used < bytes.size());
        return used;
      case H1Event::failed:
        fail(parse_error());
        return bytes.size();
    }
  }
  return closed_ ? bytes.size() : used;
}

void H1ClientSession::on_interim() {
  if (++interims_ > kMaxInformational) {
    fail({.kind = Error::Kind::too_large,
          .side = Error::Side::upstream,
          .text = "too many informational responses"});
    return;
  }
  const std::shared_ptr<ClientRequest> request = request_;
  request->on_informational(parser_.head());
  if (request_ == request && parser_.head().status == 100) release_body();
}

void H1ClientSession::on_end() {
  if (request_ == nullptr) return shut(false);
  const H1Step step = parser_.on_close();
  if (step.event == H1Event::end) {
    complete(parser_.proven(), false);
    return;
  }
  Error error = parse_error();
  error.kind = Error::Kind::closed;
  fail(error);
}

void H1ClientSession::on_error(Error error) {
  if (closed_) return;
  if (request_ == nullptr) return shut(false);
  error.side = Error::Side::upstream;
  fail(error);
}

Error H1ClientSession::parse_error() const {
  const H1Fault& fault = parser_.fault();
  Error error{.kind = Error::Kind::malformed, .side = Error::Side::upstream, .text = fault.text};
  if (fault.status == 431) error.kind = Error::Kind::too_large;
  if (fault.status == 501) error.kind = Error::Kind::unsupported;
  return error;
}

void H1ClientSession::complete(bool proven, bool input_left) {
  const std::shared_ptr<ClientRequest> request = std::move(request_);
  request_.reset();
  const FieldList trailers = parser_.trailers();  // the next response clears the parser's
  expect_timer_.cancel();
  holding_ = false;
  held_.clear();
  if (proven && parser_.keep_alive() && upload_done_ && !input_left && !closed_) {
    owner_.on_room_changed();
  } else {
    shut(!upload_done_);
  }
  request->on_end(trailers, proven);
}

void H1ClientSession::fail(Error error) {
  const std::shared_ptr<ClientRequest> request = std::move(request_);
  request_.reset();
  // A kept-alive connection that its server had given up: the request may not have been seen.
  error.retry = request->reused() && !answered_ ? Error::Retry::if_reused : Error::Retry::no;
  shut(false);
  request->on_error(error);
}

void H1ClientSession::refuse_upload(std::string_view text) {
  const std::shared_ptr<ClientRequest> request = std::move(request_);
  request_.reset();
  shut(true);
  request->fail_later({.kind = Error::Kind::malformed, .side = Error::Side::client, .text = text});
}

void H1ClientSession::shut(bool reset) {
  if (std::exchange(closed_, true)) return;
  expect_timer_.cancel();
  holding_ = false;
  held_.clear();
  connection_.close(reset);
  owner_.on_session_closed();
}

}  // namespace

std::unique_ptr<ClientSession> make_h1_client_session(ClientSessionParts parts) {
  return std::make_unique<H1ClientSession>(parts);
}

}  // namespace bw::http
