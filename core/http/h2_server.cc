// The server's side of one HTTP/2 connection: each stream is a ServerStream.
#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "core/base/check.h"
#include "core/http/h1_syntax.h"
#include "core/http/h2_session.h"
#include "core/http/server_connection.h"
#include "core/http/target.h"

namespace bw::http {
namespace {

constexpr Duration kLook = std::chrono::seconds(1);  // at deadlines
constexpr size_t kMaxMethod = 64;

class H2ServerConnection;

bool of_this_hop(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::content_length:
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

Error client_error(Error::Kind kind, std::string_view text) {
  return {.kind = kind, .side = Error::Side::client, .text = text};
}

//   head -> (body) -> request whole;  awaited -> head sent -> finished -> sent
class H2ServerStream final : public ServerStream, public H2Stream {
 public:
  H2ServerStream(H2ServerConnection& connection, H2Session& session);

  const RequestHead& request() const override { return head_; }
  const PeerInfo& peer() const override;
  net::Loop& loop() const override;
  void send_informational(int status, const FieldList& fields) override;
  void send_head(const ResponseHead& head) override;
  void send_body(Slice piece) override;
  void finish(const FieldList* trailers) override;
  void abort(Error error) override;
  void close_connection_after() override;
  bool wants_more() const override { return output_open() && queue_wants_more(); }
  uint64_t bytes_sent() const override { return bytes_out_; }
  size_t buffered() const override { return queued(); }
  void pause_body() override {
    if (output_open()) pause_input();
  }
  void resume_body() override {
    if (ended_ || !input_paused()) return;
    send_continue();
    resume_input();
  }

 private:
  friend class H2ServerConnection;

  void on_field(std::string_view name, std::string_view value) override;
  void on_fields_end() override;
  void on_piece(std::string_view piece) override;
  void on_stream_end() override;
  void on_room() override;
  void on_sent_whole() override;
  void on_closed(uint32_t code) override;

  bool output_open() const { return !ended_ && !finished_; }
  void read_head();
  // 0, or the status that refuses this head.
  int check_head();
  void send_continue();
  void refuse(int status, std::string_view text, Error error);
  // The last call of its handler, if any, and the end of the stream.
  void end(const Error* error);

  H2ServerConnection& connection_;
  std::unique_ptr<StreamHandler> handler_;
  RequestHead head_;
  FieldList trailers_;
  std::string host_, cookie_;
  size_t field_bytes_ = 0;
  size_t fields_ = 0;
  int fault_ = 0;  // a status that refuses the head, found while it came
  bool head_read_ = false;
  bool has_length_ = false;
  bool request_whole_ = false;
  bool continue_awaited_ = false;
  bool head_sent_ = false;
  bool has_body_ = false;  // of the response
  bool finished_ = false;
  bool ended_ = false;
  bool sent_ = false;
  uint64_t body_bytes_ = 0;
  std::optional<uint64_t> promised_;
  uint64_t given_ = 0;
};

class H2ServerConnection final : public ServerConnection, private H2Session::Owner {
 public:
  explicit H2ServerConnection(ServerConnectionParts parts)
      : loop_(parts.loop),
        connection_(std::move(parts.connection)),
        peer_(parts.peer),
        service_(parts.service),
        limits_(parts.limits),
        counters_(parts.counters),
        closed_(std::move(parts.closed)),
        session_(loop_, *connection_, *this,
                 {.server = true,
                  .max_streams = limits_.max_streams,
                  .max_header_list = limits_.max_header_size}),
        timer_(loop_, [this] { on_timer(); }),
        idle_since_(loop_.now()) {
    timer_.arm(kLook);
  }
  ~H2ServerConnection() override {
    for (auto& [raw, stream] : streams_) session_.forget(*stream);
  }

  void drain() override {
    if (dead_ || std::exchange(draining_, true)) return;
    session_.goaway(H2Code::no_error);
    close_when_idle();
  }
  void close() override {
    if (dead_) return;
    connection_->close(true);
    on_error({.kind = Error::Kind::cancelled, .text = "server closes"});
  }
  bool idle() const override { return streams_.empty(); }

  size_t on_data(std::string_view bytes) override {
    if (!dead_ && !closing_) session_.receive(bytes);
    return bytes.size();
  }
  void on_end() override {
    // Streams can't be half-closed by it: nothing can be answered to a stream we can't control.
    if (!dead_) close_now(client_error(Error::Kind::closed, "the client closed the connection"));
  }
  void on_error(Error error) override {
    if (std::exchange(dead_, true)) return;
    timer_.cancel();
    while (!streams_.empty()) streams_.begin()->second->end(&error);
    Task closed = std::exchange(closed_, nullptr);
    if (closed) closed();
  }
  void on_drained() override { session_.on_drained(); }
  void on_progress() override { session_.on_progress(); }

 private:
  friend class H2ServerStream;

  H2Stream* on_stream_begin() override {
    if (draining_ || closing_ || dead_) return nullptr;
    auto stream = std::make_unique<H2ServerStream>(*this, session_);
    H2ServerStream* const raw = stream.get();
    streams_.emplace(raw, std::move(stream));
    return raw;
  }
  void on_goaway() override { draining_ = true; }
  void on_failed(Error error) override {
    if (error.kind == Error::Kind::malformed) ++counters_.malformed;
    session_.flush();
    close_now(error);
  }

  // What is queued still leaves; every stream is over.
  void close_now(Error error) {
    if (std::exchange(closing_, true)) return;
    connection_->close_after_flush();
    on_error(error);
  }
  void close_when_idle() {
    if (!draining_ || closing_ || dead_ || !streams_.empty()) return;
    closing_ = true;
    session_.flush();
    connection_->close_after_flush();
  }
  void remove(H2ServerStream& stream) {
    const auto found = streams_.find(&stream);
    if (found == streams_.end()) return;
    session_.forget(stream);
    loop_.retire(std::move(found->second));
    streams_.erase(found);
    if (streams_.empty()) idle_since_ = loop_.now();
    close_when_idle();
  }

  void on_timer() {
    const MonoTime now = loop_.now();
    const auto passed = [&](MonoTime since, Duration limit) {
      return limit > Duration::zero() && since.ns != 0 && now - since >= limit;
    };
    if (passed(session_.header_since(), limits_.header_timeout)) {
      return close_now(client_error(Error::Kind::timeout, "request head too slow"));
    }
    if (streams_.empty()) {
      if (passed(idle_since_, limits_.idle_timeout)) {
        draining_ = true;
        session_.goaway(H2Code::no_error);
        return close_when_idle();
      }
    } else if (connection_->buffered() > 0 &&
               passed(connection_->last_write_progress(), limits_.send_timeout)) {
      connection_->close(true);
      return on_error(client_error(Error::Kind::timeout, "client takes no more"));
    }
    std::vector<H2ServerStream*> all;
    for (const auto& [raw, stream] : streams_) all.push_back(raw);
    for (H2ServerStream* stream : all) {
      if (streams_.count(stream) == 0) continue;
      const bool reads = stream->head_read_ && !stream->request_whole_ && !stream->input_paused();
      if (reads && passed(stream->last_in_, limits_.body_timeout)) {
        stream->refuse(408, "request body too slow",
                       client_error(Error::Kind::timeout, "request body"));
      } else if (stream->queued() > 0 && passed(stream->last_out_, limits_.send_timeout)) {
        // Its window stays shut, whatever others take.
        const Error error = client_error(Error::Kind::timeout, "client takes no more");
        session_.reset(*stream, H2Code::cancel);
        stream->end(&error);
      }
      if (dead_) return;
    }
    timer_.arm(kLook);
  }

  net::Loop& loop_;
  std::unique_ptr<net::Connection> connection_;
  const PeerInfo peer_;
  Service& service_;
  const ServerLimits limits_;
  ServerCounters& counters_;
  Task closed_;
  std::unordered_map<H2ServerStream*, std::unique_ptr<H2ServerStream>> streams_;
  H2Session session_;
  net::Timer timer_;
  MonoTime idle_since_;
  bool draining_ = false;
  bool closing_ = false;
  bool dead_ = false;
};

H2ServerStream::H2ServerStream(H2ServerConnection& connection, H2Session& session)
    : H2Stream(session), connection_(connection) {}

const PeerInfo& H2ServerStream::peer() const { return connection_.peer_; }
net::Loop& H2ServerStream::loop() const { return connection_.loop_; }

// --- the request

void H2ServerStream::on_field(std::string_view name, std::string_view value) {
  // RFC 9113 section 6.5.2 counts 32 bytes a field beside its text.
  field_bytes_ += name.size() + value.size() + 32;
  if (field_bytes_ > connection_.limits_.max_header_size ||
      ++fields_ > connection_.limits_.max_headers + 5) {
    fault_ = 431;
    return;
  }
  if (head_read_) {
    const FieldId id = field_id(name);
    if (may_be_trailer(id)) trailers_.add(name, value);
    return;
  }
  if (name.starts_with(':')) {
    if (name == ":method") {
      head_.method = value;
    } else if (name == ":scheme") {
      head_.scheme = value;
    } else if (name == ":path") {
      head_.target = value;
    } else if (name == ":authority") {
      head_.authority = value;
    } else if (name == ":protocol") {
      head_.protocol = value;
    }
    return;
  }
  const FieldId id = field_id(name);
  if (id == FieldId::host) {
    host_ = value;
  } else if (id == FieldId::cookie) {
    // Crumbs become one field again (RFC 9113 section 8.2.3).
    if (!cookie_.empty()) cookie_ += "; ";
    cookie_ += value;
  } else if (id == FieldId::content_length) {
    uint64_t length = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), length);
    if (fault != std::errc() || end != value.data() + value.size() || has_length_) fault_ = 400;
    has_length_ = true;
    head_.content_length = length;
  } else {
    head_.fields.add(name, value);
  }
}

void H2ServerStream::on_fields_end() {
  if (!head_read_) {
    head_read_ = true;
    read_head();
  }
}

int H2ServerStream::check_head() {
  if (fault_ != 0) return fault_;
  if (!is_token(head_.method) || head_.method.size() > kMaxMethod) return 400;
  if (head_.target.size() > connection_.limits_.max_uri) return 414;
  if (!cookie_.empty()) head_.fields.add(FieldId::cookie, cookie_);
  std::optional<std::string> host;
  if (!host_.empty() && !(host = parse_authority(host_))) return 400;
  if (head_.authority.empty()) {
    if (!host) return 400;
    head_.authority = *host;
  } else {
    const std::optional<std::string> authority = parse_authority(head_.authority);
    // RFC 9113 section 8.3.1: a Host that says otherwise is malformed.
    if (!authority || (host && *host != *authority)) return 400;
    head_.authority = *authority;
  }
  const bool connect = head_.method == "CONNECT" && head_.protocol.empty();
  if (connect) {
    head_.target.clear();
  } else if (head_.target == "*") {
    if (head_.method != "OPTIONS") return 400;
  } else if (!is_origin_form(head_.target)) {
    return 400;
  }
  if (head_.scheme != "http" && head_.scheme != "https") {
    if (!connect) return 400;
  }
  head_.scheme = connection_.peer_.tls ? "https" : "http";
  if (head_.content_length.value_or(0) > connection_.limits_.max_body_size) return 413;
  return 0;
}

void H2ServerStream::read_head() {
  head_.version = Version::http2;
  const int status = check_head();
  if (status != 0) {
    ++connection_.counters_.malformed;
    refuse(status, reason_phrase(status), client_error(Error::Kind::malformed, "request head"));
    return;
  }
  ++connection_.counters_.requests_http2;
  head_.has_body = !in_ended();
  if (!head_.has_body) head_.content_length.reset();
  if (head_.has_body) {
    const auto expect = head_.fields.find(FieldId::expect);
    continue_awaited_ = expect && equals_ignoring_case(*expect, "100-continue");
  }
  std::unique_ptr<StreamHandler> handler = connection_.service_.on_request(*this);
  BW_CHECK(handler != nullptr);
  handler_ = std::move(handler);
  if (!ended_ && !input_paused()) send_continue();
}

void H2ServerStream::on_piece(std::string_view piece) {
  continue_awaited_ = false;
  if (ended_ || finished_ || handler_ == nullptr) return;
  body_bytes_ += piece.size();
  if (body_bytes_ > connection_.limits_.max_body_size) {
    refuse(413, "request body too large", client_error(Error::Kind::too_large, "request body"));
    return;
  }
  handler_->on_body(piece);
}

void H2ServerStream::on_stream_end() {
  if (ended_ || request_whole_) return;
  request_whole_ = true;
  if (handler_ != nullptr) handler_->on_body_end(trailers_);
  if (sent_ && !ended_) end(nullptr);
}

void H2ServerStream::send_continue() {
  if (continue_awaited_) send_informational(100, {});
}

// --- the response

void H2ServerStream::send_informational(int status, const FieldList& fields) {
  if (!output_open() || head_sent_ || status < 100 || status > 199 || status == 101) return;
  if (status == 100) {
    if (!std::exchange(continue_awaited_, false)) return;
    last_in_ = loop().now();
  }
  FieldList list;
  list.add(":status", std::to_string(status));
  for (const Field field : fields) {
    if (!of_this_hop(field.id)) list.add(field.name, field.value);
  }
  if (session_ != nullptr) session_->send_informational(*this, list);
}

void H2ServerStream::send_head(const ResponseHead& head) {
  if (!output_open() || head_sent_ || session_ == nullptr) return;
  head_sent_ = true;
  has_body_ = response_has_body(head_.method, head.status);
  if (has_body_) promised_ = head.content_length;
  char digits[24];
  const auto number = [&digits](uint64_t value) {
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return std::string_view(digits, static_cast<size_t>(end - digits));
  };
  out_head_.add(":status", number(static_cast<uint64_t>(head.status)));
  if (!head.fields.has(FieldId::date)) out_head_.add(FieldId::date, date_now(loop()));
  for (const Field field : head.fields) {
    if (of_this_hop(field.id) || !is_token(field.name) || !is_text(field.value)) continue;
    if (field.id == FieldId::other) {
      out_head_.add(field.name, field.value);
    } else {
      out_head_.add(field.id, field.value);
    }
  }
  if (head.content_length && head.status != 204 && head_.method != "CONNECT") {
    out_head_.add(FieldId::content_length, number(*head.content_length));
  }
  session_->start_response(*this);
}

void H2ServerStream::send_body(Slice piece) {
  if (!output_open() || !head_sent_ || !has_body_) return;
  if (promised_ && piece.size() > *promised_ - given_) {
    piece = piece.part(0, static_cast<size_t>(*promised_ - given_));
  }
  given_ += piece.size();
  queue_body(std::move(piece));
}

void H2ServerStream::finish(const FieldList* trailers) {
  if (!output_open()) return;
  if (!head_sent_ || (has_body_ && promised_ && given_ < *promised_)) {
    finished_ = true;
    if (session_ != nullptr) session_->reset(*this, H2Code::internal_error);
    // Not inside the handler's own call.
    loop().post([connection = &connection_, raw = this, alive = connection_.session_.alive()] {
      if (*alive == nullptr || connection->streams_.count(raw) == 0) return;
      const Error error{.kind = Error::Kind::internal,
                        .side = Error::Side::self,
                        .text = "response ended short of its promise"};
      raw->end(&error);
    });
    return;
  }
  finished_ = true;
  queue_end(has_body_ ? trailers : nullptr);
}

void H2ServerStream::abort(Error error) {
  (void)error;
  if (ended_) return;
  if (session_ != nullptr) session_->reset(*this, H2Code::internal_error);
  end(nullptr);
}

void H2ServerStream::close_connection_after() { connection_.drain(); }

void H2ServerStream::on_room() {
  if (output_open() && handler_ != nullptr) handler_->on_writable();
}

void H2ServerStream::on_sent_whole() {
  if (ended_) return;
  sent_ = true;
  StreamHandler* const handler = handler_.get();
  const bool whole = request_whole_ || closed_;
  if (!whole && session_ != nullptr) {
    // The rest of the request isn't wanted (RFC 9113 section 8.1).
    session_->reset(*this, H2Code::no_error);
  }
  if (handler != nullptr) handler->on_sent();
  end(nullptr);
}

void H2ServerStream::on_closed(uint32_t code) {
  if (ended_) return;
  // Ended on both sides: its last bytes may still be on their way to the kernel.
  if (code == 0 && finished_ && output_ended() && !sent_) return;
  const Error error = client_error(Error::Kind::cancelled, "the client reset the stream");
  end(&error);
}

void H2ServerStream::refuse(int status, std::string_view text, Error error) {
  if (ended_) return;
  if (!head_sent_ && session_ != nullptr && !closed_) {
    ResponseHead head;
    head.status = status;
    head.fields.add(FieldId::content_type, "text/plain");
    const std::string body = std::string(text) + "\n";
    head.content_length = body.size();
    std::unique_ptr<StreamHandler> handler = std::move(handler_);
    send_head(head);
    send_body(Slice::copy_of(body));
    finish(nullptr);
    if (handler != nullptr) {
      handler->on_abort(error);
      connection_.loop_.retire(std::move(handler));
    }
    return;
  }
  if (session_ != nullptr) session_->reset(*this, H2Code::cancel);
  end(&error);
}

void H2ServerStream::end(const Error* error) {
  if (std::exchange(ended_, true)) return;
  if (error != nullptr && handler_ != nullptr) handler_->on_abort(*error);
  connection_.remove(*this);
}

}  // namespace

std::unique_ptr<ServerConnection> make_h2_server_connection(ServerConnectionParts parts) {
  return std::make_unique<H2ServerConnection>(std::move(parts));
}

}  // namespace bw::http
