// A connection to a server that speaks HTTP/2: many requests at once, as many as the server allows.
#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/http/client_session.h"
#include "core/http/h1_syntax.h"
#include "core/http/h2_session.h"
#include "core/http/target.h"

namespace bw::http {
namespace {

// How long a body waits for 100 (Continue) before it is sent unasked (RFC 9110 section 10.1.1).
constexpr Duration kExpectWait = std::chrono::seconds(1);
// 1xx responses in front of one response; more are no server's.
constexpr uint32_t kMaxInformational = 32;
// At once on one connection, whatever its server allows.
constexpr size_t kMostStreams = 1000;
// Until its settings have come.
constexpr size_t kFirstStreams = 100;

Error upstream_error(Error::Kind kind, std::string_view text) {
  return {.kind = kind, .side = Error::Side::upstream, .text = text};
}

class H2ClientSession;

class H2ClientStream final : public H2Stream, public Carrier {
 public:
  H2ClientStream(H2ClientSession& client, std::shared_ptr<ClientRequest> request)
      : client_(client), request_(std::move(request)) {}

  bool make_head();
  void start(H2Session& session, bool reused);
  // Tells the end to whoever asked; the stream itself may live on.
  void fail(Error error);
  void detach() {
    if (const auto request = std::exchange(request_, nullptr)) request->detach();
  }
  bool answered() const { return answered_; }

  void send_body(Slice piece) override;
  void finish(const FieldList* trailers) override;
  bool wants_more() const override { return !holding_ && queue_wants_more() && !upload_done_; }
  void pause() override { pause_input(); }
  void resume() override { resume_input(); }
  void cancel() override;

 private:
  friend class H2ClientSession;
  void on_field(std::string_view name, std::string_view value) override;
  void on_fields_end(bool end_stream) override;
  void on_piece(std::string_view piece) override;
  void on_stream_end() override;
  void on_resumed() override;
  void on_room() override;
  void on_output() override {
    if (request_ != nullptr) request_->touch();
  }
  void on_closed(uint32_t code) override;

  void on_interim();
  void tell_head();
  void release();
  // Ends it by a fault of either side.
  void give_up(Error error, H2Code code);

  H2ClientSession& client_;
  std::shared_ptr<ClientRequest> request_;
  size_t place_ = 0;
  bool reused_ = false;
  ResponseHead head_;
  FieldList trailers_in_;
  size_t list_size_ = 0;
  size_t list_count_ = 0;
  uint32_t interims_ = 0;
  bool answered_ = false;    // a head, or part of one, came
  bool head_done_ = false;   // the final head is whole
  bool head_waits_ = false;  // and not told: reading is paused
  bool upload_done_ = false;
  bool holding_ = false;  // the body waits for 100 (Continue)
  std::optional<uint64_t> upload_left_;
  std::unique_ptr<net::Timer> expect_timer_;
};

class H2ClientSession final : public ClientSession, private H2Session::Owner {
 public:
  explicit H2ClientSession(const ClientSessionParts& parts)
      : loop_(parts.loop),
        connection_(parts.connection),
        owner_(parts.owner),
        limits_(parts.limits) {
    H2Session::Owner& owner = *this;
    session_ = std::make_unique<H2Session>(
        loop_, connection_, owner,
        H2Limits{.server = false, .max_streams = 0, .max_header_list = limits_.max_header_size});
  }
  ~H2ClientSession() override {
    session_->quit();
    for (const auto& stream : streams_) stream->detach();
    session_.reset();
  }

  size_t room() const override {
    if (!open()) return 0;
    const size_t most =
        settled_ ? std::min<size_t>(session_->peer_max_streams(), kMostStreams) : kFirstStreams;
    return most > streams_.size() ? most - streams_.size() : 0;
  }
  bool open() const override { return !closed_ && !going_away_ && session_->may_open_stream(); }
  bool idle() const override { return streams_.empty(); }
  bool carry(std::shared_ptr<ClientRequest> request) override;
  void close() override {
    if (!idle() || closed_) return;
    session_->goaway(H2Code::no_error, false);
    shut();
  }

 private:
  friend class H2ClientStream;

  size_t on_data(std::string_view bytes) override {
    if (!closed_) session_->receive(bytes);
    return bytes.size();
  }
  void on_end() override { fail_all(upstream_error(Error::Kind::closed, "connection ended")); }
  void on_error(Error error) override {
    error.side = Error::Side::upstream;
    fail_all(error);
  }
  void on_drained() override { session_->on_drained(); }
  void on_progress() override { session_->on_progress(); }

  void on_goaway() override {
    if (std::exchange(going_away_, true)) return;
    changed();
  }
  void on_settings() override {
    settled_ = true;
    changed();
  }
  void on_failed(Error error) override { fail_all(error); }
  void on_flushed() override;

  void remove(H2ClientStream& stream);
  // The owner is told in a later turn: not inside nghttp2, which must not be entered again.
  void changed();
  void fail_all(Error error);
  void shut();

  net::Loop& loop_;
  net::Connection& connection_;
  ClientSessionOwner& owner_;
  const ClientLimits limits_;
  std::vector<std::unique_ptr<H2ClientStream>> streams_;
  bool settled_ = false;
  bool going_away_ = false;
  bool closed_ = false;
  bool changed_ = false;
  uint64_t carried_ = 0;
  std::unique_ptr<H2Session> session_;  // goes before the streams
};

// --- the request

bool H2ClientStream::make_head() {
  const RequestHead& head = request_->head();
  const bool connect = head.method == "CONNECT";
  if (!is_token(head.method) || parse_authority(head.authority) != head.authority) return false;
  if (!connect && head.target != "*" && !is_origin_form(head.target)) return false;
  out_head_.add(":method", head.method);
  if (!connect) out_head_.add(":scheme", head.scheme == "http" ? "http" : "https");
  out_head_.add(":authority", head.authority);
  if (!connect) out_head_.add(":path", head.target);
  for (Field field : head.fields) {
    if (is_connection_field(field.id) || field.id == FieldId::host) continue;
    if (!is_field_name(field.name) || !is_text(field.value)) continue;
    // RFC 9113 section 8.2.2: no other value of TE.
    if (field.id == FieldId::te && !equals_ignoring_case(field.value, "trailers")) continue;
    out_head_.add(field.name, field.value);
  }
  std::optional<uint64_t> length = head.content_length;
  if (!length && !head.has_body &&
      (head.method == "POST" || head.method == "PUT" || head.method == "PATCH")) {
    length = 0;  // RFC 9110 section 8.6: their meaning expects a body
  }
  if (length) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, *length).ptr;
    out_head_.add(FieldId::content_length, {digits, static_cast<size_t>(end - digits)});
  }
  if (head.has_body) upload_left_ = head.content_length;
  upload_done_ = !head.has_body;
  const auto expect = head.fields.find(FieldId::expect);
  holding_ = head.has_body && expect && equals_ignoring_case(*expect, "100-continue");
  return true;
}

void H2ClientStream::start(H2Session& session, bool reused) {
  reused_ = reused;
  if (upload_done_) queue_end(nullptr);
  if (holding_) {
    hold_body();
    expect_timer_ = std::make_unique<net::Timer>(session.loop(), [this] { release(); });
    expect_timer_->arm(kExpectWait);
  }
  session.start(*this);
  const std::shared_ptr<ClientRequest> request = request_;
  request->attach(*this, reused);
}

void H2ClientStream::release() {
  if (expect_timer_ != nullptr) expect_timer_->cancel();
  if (!std::exchange(holding_, false)) return;
  release_body();
  if (request_ != nullptr && wants_more()) request_->on_writable();
}

void H2ClientStream::send_body(Slice piece) {
  if (upload_done_ || request_ == nullptr || piece.empty()) return;
  if (upload_left_) {
    if (piece.size() > *upload_left_) {
      give_up({.kind = Error::Kind::malformed,
               .side = Error::Side::client,
               .text = "request body longer than its length"},
              H2Code::cancel);
      return;
    }
    *upload_left_ -= piece.size();
  }
  queue_body(std::move(piece));
}

void H2ClientStream::finish(const FieldList* trailers) {
  if (upload_done_ || request_ == nullptr) return;
  if (upload_left_.value_or(0) > 0) {
    give_up({.kind = Error::Kind::malformed,
             .side = Error::Side::client,
             .text = "request body shorter than its length"},
            H2Code::cancel);
    return;
  }
  upload_done_ = true;
  queue_end(trailers);
}

void H2ClientStream::on_room() {
  if (request_ != nullptr && wants_more()) request_->on_writable();
}

// --- the response

void H2ClientStream::on_field(std::string_view name, std::string_view value) {
  answered_ = true;
  list_size_ += name.size() + value.size() + 32;
  ++list_count_;
  if (list_size_ > client_.limits_.max_header_size || list_count_ > client_.limits_.max_headers) {
    return;
  }
  value = trim_blanks(value);
  if (head_done_) {
    if (may_be_trailer(field_id(name))) trailers_in_.add(name, value);
    return;
  }
  if (name == ":status") {
    for (char digit : value) head_.status = head_.status * 10 + (digit - '0');  // three, judged
    return;
  }
  if (name.starts_with(':')) return;
  if (field_id(name) == FieldId::content_length) {
    uint64_t length = 0;
    const char* const end = value.data() + value.size();
    if (std::from_chars(value.data(), end, length).ptr == end) head_.content_length = length;
    return;
  }
  head_.fields.add(name, value);
}

void H2ClientStream::on_fields_end(bool) {
  if (list_size_ > client_.limits_.max_header_size || list_count_ > client_.limits_.max_headers) {
    give_up(upstream_error(Error::Kind::too_large, "response header too large"), H2Code::cancel);
    return;
  }
  list_size_ = list_count_ = 0;
  if (head_done_) return;
  head_.version = Version::http2;
  if (head_.status < 200) {
    on_interim();
    return;
  }
  head_done_ = true;
  if (holding_) {
    // The server answers without the body; what waits is sent all the same, for it may want it.
    release();
  }
  if (input_paused()) {
    head_waits_ = true;
  } else {
    tell_head();
  }
}

void H2ClientStream::on_interim() {
  if (++interims_ > kMaxInformational) {
    give_up(upstream_error(Error::Kind::too_large, "too many informational responses"),
            H2Code::cancel);
    return;
  }
  const ResponseHead interim = std::exchange(head_, {});
  if (request_ == nullptr) return;
  request_->touch();
  const std::shared_ptr<ClientRequest> request = request_;
  if (!input_paused()) request->on_informational(interim);
  if (interim.status == 100) release();
}

void H2ClientStream::tell_head() {
  head_waits_ = false;
  if (const std::shared_ptr<ClientRequest> request = request_) request->on_head(head_);
}

void H2ClientStream::on_resumed() {
  if (head_waits_) tell_head();
}

void H2ClientStream::on_piece(std::string_view piece) {
  if (const std::shared_ptr<ClientRequest> request = request_) request->on_body(piece);
}

void H2ClientStream::on_stream_end() {
  const std::shared_ptr<ClientRequest> request = std::exchange(request_, nullptr);
  if (request == nullptr) return;
  if (!upload_done_) session_->reset(*this, H2Code::cancel);  // nobody sends the rest
  request->on_end(trailers_in_, true);
}

// --- ends

void H2ClientStream::fail(Error error) {
  const std::shared_ptr<ClientRequest> request = std::exchange(request_, nullptr);
  if (request != nullptr) request->on_error(error);
}

void H2ClientStream::give_up(Error error, H2Code code) {
  const std::shared_ptr<ClientRequest> request = std::exchange(request_, nullptr);
  if (request != nullptr) request->fail_later(error);
  session_->reset(*this, code);
}

void H2ClientStream::cancel() {
  request_.reset();
  session_->reset(*this, H2Code::cancel);
}

void H2ClientStream::on_closed(uint32_t code) {
  if (expect_timer_ != nullptr) expect_timer_->cancel();
  if (request_ != nullptr) {
    Error error = upstream_error(Error::Kind::closed, "stream was reset");
    error.code = static_cast<int32_t>(code);
    if (code == static_cast<uint32_t>(H2Code::refused_stream)) {
      error.kind = Error::Kind::refused;
      error.text = "stream was refused";
      error.retry = Error::Retry::yes;  // RFC 9113 section 8.7: not processed
    } else if (code == static_cast<uint32_t>(H2Code::protocol_error)) {
      error.kind = Error::Kind::malformed;
      error.text = "malformed HTTP/2 response";
    }
    // In a later turn: this may be inside nghttp2.
    std::exchange(request_, nullptr)->fail_later(error);
  }
  client_.remove(*this);
}

bool H2ClientSession::carry(std::shared_ptr<ClientRequest> request) {
  auto owned = std::make_unique<H2ClientStream>(*this, std::move(request));
  H2ClientStream& stream = *owned;
  stream.begin(*session_);
  if (!stream.make_head()) {
    stream.request_.reset();
    return false;
  }
  stream.place_ = streams_.size();
  streams_.push_back(std::move(owned));
  stream.start(*session_, carried_++ > 0);
  return true;
}

void H2ClientSession::remove(H2ClientStream& stream) {
  const size_t place = stream.place_;
  if (place >= streams_.size() || streams_[place].get() != &stream) return;  // fail_all has them
  loop_.retire(std::move(streams_[place]));
  if (place + 1 < streams_.size()) {
    streams_[place] = std::move(streams_.back());
    streams_[place]->place_ = place;
  }
  streams_.pop_back();
  changed();
}

void H2ClientSession::changed() {
  changed_ = true;
  session_->schedule();
}

void H2ClientSession::on_flushed() {
  if (closed_) return;
  // After GOAWAY a session is finished too once its streams are: some may wait for their reader.
  const bool under_way = std::any_of(streams_.begin(), streams_.end(),
                                     [](const auto& stream) { return !stream->closed_; });
  if (session_->finished() && (under_way || !going_away_)) {
    fail_all(upstream_error(Error::Kind::malformed, "HTTP/2 connection error"));
    return;
  }
  if (going_away_ && streams_.empty()) {
    shut();
    return;
  }
  if (std::exchange(changed_, false)) owner_.on_room_changed();
}

void H2ClientSession::fail_all(Error error) {
  if (closed_) return;
  auto streams = std::exchange(streams_, {});
  shut();
  for (auto& stream : streams) {
    // A connection that its server had given up: the request may not have been seen.
    error.retry =
        stream->reused_ && !stream->answered() ? Error::Retry::if_reused : Error::Retry::no;
    if (stream->expect_timer_ != nullptr) stream->expect_timer_->cancel();
    stream->fail(error);
  }
  for (auto& stream : streams) loop_.retire(std::move(stream));
}

void H2ClientSession::shut() {
  if (std::exchange(closed_, true)) return;
  session_->flush_last();
  session_->quit();
  connection_.close_after_flush();
  owner_.on_session_closed();
}

}  // namespace

std::unique_ptr<ClientSession> make_h2_client_session(ClientSessionParts parts) {
  return std::make_unique<H2ClientSession>(parts);
}

}  // namespace bw::http
