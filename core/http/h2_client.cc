// A connection to a server that speaks HTTP/2: many requests at a time, each a stream.
#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "core/http/client_session.h"
#include "core/http/h1_syntax.h"
#include "core/http/h2_session.h"
#include "core/http/target.h"

namespace bw::http {
namespace {

constexpr size_t kMaxStreams = 256;  // of ours at a time, whatever the server allows
constexpr uint32_t kMaxInformational = 32;
constexpr uint32_t kRefusedStream = 7;

bool of_this_hop(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::content_length:
    case FieldId::host:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return true;
    default:
      return false;
  }
}

class H2ClientSession;

class H2ClientStream final : public H2Stream, public Carrier {
 public:
  H2ClientStream(H2ClientSession& owner, H2Session& session, std::shared_ptr<ClientRequest> request)
      : H2Stream(session), owner_(owner), request_(std::move(request)) {}

  // Carrier.
  void send_body(Slice piece) override { queue_body(std::move(piece)); }
  void finish(const FieldList* trailers) override { queue_end(trailers); }
  bool wants_more() const override { return !closed_ && queue_wants_more(); }
  void pause() override { pause_input(); }
  void resume() override { resume_input(); }
  void cancel() override;

 private:
  friend class H2ClientSession;

  void on_field(std::string_view name, std::string_view value) override;
  void on_fields_end() override;
  void on_piece(std::string_view piece) override {
    if (const auto request = request_) {
      request->touch();
      request->on_body(piece);
    }
  }
  void on_stream_end() override;
  void on_room() override {
    if (const auto request = request_) {
      request->touch();
      request->on_writable();
    }
  }
  void on_closed(uint32_t code) override;
  void fail(Error error);

  H2ClientSession& owner_;
  std::shared_ptr<ClientRequest> request_;  // null: nobody is told any more
  ResponseHead head_;
  FieldList trailers_;
  bool head_told_ = false;
  size_t field_bytes_ = 0;
  size_t fields_ = 0;
  uint32_t interims_ = 0;
  bool malformed_ = false;
  bool too_large_ = false;
};

class H2ClientSession final : public ClientSession, private H2Session::Owner {
 public:
  explicit H2ClientSession(const ClientSessionParts& parts)
      : loop_(parts.loop),
        connection_(parts.connection),
        owner_(parts.owner),
        limits_(parts.limits),
        session_(loop_, connection_, *this,
                 {.server = false,
                  .max_streams = 0,
                  .max_header_list = limits_.max_header_size,
                  .stream_window = 1 << 20,
                  .connection_window = 8 << 20}) {}
  ~H2ClientSession() override {
    for (auto& [raw, stream] : streams_) {
      if (const auto request = std::exchange(stream->request_, nullptr)) request->detach();
      session_.forget(*stream);
    }
  }

  size_t room() const override {
    if (!open()) return 0;
    const size_t most = std::min<size_t>(session_.peer_max_streams(), kMaxStreams);
    return most > streams_.size() ? most - streams_.size() : 0;
  }
  bool open() const override { return !closed_ && !going_away_; }
  bool idle() const override { return streams_.empty(); }
  bool carry(std::shared_ptr<ClientRequest> request) override;
  void close() override {
    if (!idle() || closed_) return;
    session_.goaway(H2Code::no_error);
    session_.flush();
    shut();
  }

 private:
  friend class H2ClientStream;

  size_t on_data(std::string_view bytes) override {
    if (!closed_) session_.receive(bytes);
    return bytes.size();
  }
  void on_end() override {
    fail_all({.kind = Error::Kind::closed,
              .side = Error::Side::upstream,
              .text = "the server closed the connection"});
  }
  void on_error(Error error) override {
    error.side = Error::Side::upstream;
    fail_all(error);
  }
  void on_drained() override { session_.on_drained(); }
  void on_progress() override { session_.on_progress(); }

  H2Stream* on_stream_begin() override { return nullptr; }
  void on_goaway() override {
    going_away_ = true;
    told_room_ = false;
    tell_room();
    shut_when_idle();
  }
  void on_settings() override { tell_room(); }
  void on_failed(Error error) override {
    error.side = Error::Side::upstream;
    fail_all(error);
  }

  // In a later turn: never inside nghttp2's callbacks.
  void tell_room() {
    if (std::exchange(told_room_, true)) return;
    loop_.post([this, alive = session_.alive()] {
      if (*alive == nullptr) return;
      told_room_ = false;
      if (!closed_) owner_.on_room_changed();
    });
  }
  void shut_when_idle() {
    if (!going_away_ || closed_ || !streams_.empty()) return;
    loop_.post([this, alive = session_.alive()] {
      if (*alive != nullptr && !closed_ && streams_.empty()) shut();
    });
  }
  void fail_all(Error error) {
    if (closed_) return;
    std::vector<std::shared_ptr<ClientRequest>> requests;
    for (auto& [raw, stream] : streams_) {
      if (auto request = std::exchange(stream->request_, nullptr)) {
        Error own = error;
        own.retry =
            request->reused() && !raw->head_told_ ? Error::Retry::if_reused : Error::Retry::no;
        requests.push_back(std::move(request));
        errors_.push_back(own);
      }
    }
    shut();
    const std::vector<Error> errors = std::exchange(errors_, {});
    for (size_t i = 0; i < requests.size(); ++i) requests[i]->on_error(errors[i]);
  }
  void shut() {
    if (std::exchange(closed_, true)) return;
    for (auto& [raw, stream] : streams_) {
      session_.forget(*stream);
      loop_.retire(std::move(stream));
    }
    streams_.clear();
    connection_.close_after_flush();
    owner_.on_session_closed();
  }
  void remove(H2ClientStream& stream) {
    const auto found = streams_.find(&stream);
    if (found == streams_.end()) return;
    session_.forget(stream);
    loop_.retire(std::move(found->second));
    streams_.erase(found);
    tell_room();
    shut_when_idle();
  }

  net::Loop& loop_;
  net::Connection& connection_;
  ClientSessionOwner& owner_;
  const ClientLimits limits_;
  std::unordered_map<H2ClientStream*, std::unique_ptr<H2ClientStream>> streams_;
  std::vector<Error> errors_;
  H2Session session_;
  uint64_t carried_ = 0;
  bool going_away_ = false;
  bool told_room_ = false;
  bool closed_ = false;
};

bool H2ClientSession::carry(std::shared_ptr<ClientRequest> request) {
  const RequestHead& head = request->head();
  if (!is_token(head.method) || head.method == "CONNECT") return false;
  if (parse_authority(head.authority) != head.authority) return false;
  if (head.target != "*" && !is_origin_form(head.target)) return false;
  auto made = std::make_unique<H2ClientStream>(*this, session_, request);
  H2ClientStream& stream = *made;
  FieldList& out = stream.out_head_;
  out.add(":method", head.method);
  out.add(":scheme", head.scheme);
  out.add(":authority", head.authority);
  out.add(":path", head.target);
  for (const Field field : head.fields) {
    if (of_this_hop(field.id) || !is_token(field.name) || !is_text(field.value)) continue;
    out.add(field.name, field.value);
  }
  if (head.has_body && head.content_length) {
    out.add(FieldId::content_length, std::to_string(*head.content_length));
  }
  streams_.emplace(&stream, std::move(made));
  session_.start_request(stream);
  if (!head.has_body) stream.queue_end(nullptr);
  request->attach(stream, carried_++ > 0);
  return true;
}

void H2ClientStream::on_field(std::string_view name, std::string_view value) {
  field_bytes_ += name.size() + value.size() + 32;
  if (field_bytes_ > owner_.limits_.max_header_size || ++fields_ > owner_.limits_.max_headers) {
    too_large_ = true;
    return;
  }
  if (head_told_) {
    if (may_be_trailer(field_id(name))) trailers_.add(name, value);
    return;
  }
  if (name == ":status") {
    int status = 0;
    std::from_chars(value.data(), value.data() + value.size(), status);
    malformed_ = malformed_ || value.size() != 3 || status < 100 || status == 101;
    head_.status = status;
    head_.version = Version::http2;
    return;
  }
  const FieldId id = field_id(name);
  if (id == FieldId::content_length) {
    uint64_t length = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), length);
    malformed_ = malformed_ || fault != std::errc() || end != value.data() + value.size();
    head_.content_length = length;
    return;
  }
  head_.fields.add(name, value);
}

void H2ClientStream::on_fields_end() {
  const auto request = request_;
  if (request == nullptr) return;
  if (too_large_ || malformed_) {
    session_->reset(*this, H2Code::protocol_error);
    fail({.kind = too_large_ ? Error::Kind::too_large : Error::Kind::malformed,
          .side = Error::Side::upstream,
          .text = too_large_ ? "response head too large" : "malformed response head"});
    return;
  }
  request->touch();
  if (head_told_) return;  // trailers
  if (head_.status < 200) {
    if (++interims_ > kMaxInformational) {
      session_->reset(*this, H2Code::enhance_your_calm);
      fail({.kind = Error::Kind::too_large,
            .side = Error::Side::upstream,
            .text = "too many informational responses"});
      return;
    }
    const ResponseHead interim = std::exchange(head_, {});
    request->on_informational(interim);
    return;
  }
  head_told_ = true;
  request->on_head(head_);
}

void H2ClientStream::on_stream_end() {
  const auto request = std::exchange(request_, nullptr);
  if (request == nullptr) return;
  const FieldList trailers = trailers_;
  // An answer that came before the request was sent whole.
  if (!output_ended() && !closed_) session_->reset(*this, H2Code::no_error);
  if (closed_) owner_.remove(*this);
  request->on_end(trailers, true);
}

void H2ClientStream::on_closed(uint32_t code) {
  const auto request = request_;
  if (request != nullptr && code == 0 && in_ended()) return;  // its end waits while it's paused
  if (request == nullptr) {
    owner_.remove(*this);
    return;
  }
  Error error{.kind = Error::Kind::closed,
              .side = Error::Side::upstream,
              .code = static_cast<int32_t>(code),
              .text = "the server reset the stream"};
  // RFC 9113 section 8.7: it wasn't processed.
  if (code == kRefusedStream && !head_told_) error.retry = Error::Retry::yes;
  fail(error);
}

void H2ClientStream::fail(Error error) {
  const auto request = std::exchange(request_, nullptr);
  owner_.remove(*this);
  if (request != nullptr) request->on_error(error);
}

void H2ClientStream::cancel() {
  request_.reset();
  if (!closed_ && session_ != nullptr) session_->reset(*this, H2Code::cancel);
  owner_.remove(*this);
}

}  // namespace

std::unique_ptr<ClientSession> make_h2_client_session(ClientSessionParts parts) {
  return std::make_unique<H2ClientSession>(parts);
}

}  // namespace bw::http
