// One request over HTTP/2 and its answer: fields to a head, a head to fields.
#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/check.h"
#include "core/http/h1_syntax.h"
#include "core/http/h2_server.h"
#include "core/http/target.h"

namespace bw::http {
namespace {

constexpr size_t kSpareStreams = 64;

std::vector<std::unique_ptr<H2ServerStream>>& spare_streams() {
  thread_local std::vector<std::unique_ptr<H2ServerStream>> spare;
  return spare;
}

Error client_error(Error::Kind kind, std::string_view text) {
  return {.kind = kind, .side = Error::Side::client, .text = text};
}

std::optional<uint64_t> parse_length(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void add_number(FieldList& fields, std::string_view name, uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  fields.add(name, {digits, static_cast<size_t>(end - digits)});
}

}  // namespace

std::unique_ptr<H2ServerStream> take_h2_stream() {
  auto& spare = spare_streams();
  if (spare.empty()) return std::make_unique<H2ServerStream>();
  std::unique_ptr<H2ServerStream> stream = std::move(spare.back());
  spare.pop_back();
  return stream;
}

void retire_stream(net::Loop& loop, std::unique_ptr<H2ServerStream> stream) {
  loop.post([held = std::move(stream)]() mutable {
    held->handler_.reset();
    auto& spare = spare_streams();
    if (spare.size() < kSpareStreams) spare.push_back(std::move(held));
  });
}

void H2ServerStream::reuse(H2ServerConnection& connection) {
  begin(*connection.session_);
  connection_ = &connection;
  head_.method.clear();
  head_.scheme.clear();
  head_.authority.clear();
  head_.target.clear();
  head_.protocol.clear();
  head_.version = Version::http2;
  head_.fields.clear();
  head_.content_length.reset();
  head_.has_body = false;
  trailers_in_.clear();
  cookie_.clear();
  host_.clear();
  list_size_ = list_count_ = 0;
  head_done_ = whole_ = continue_awaited_ = head_sent_ = finished_ = ended_ = sent_ = false;
  has_body_ = short_ = false;
  promised_.reset();
  given_ = body_bytes_ = 0;
}

const PeerInfo& H2ServerStream::peer() const { return connection_->peer_; }
net::Loop& H2ServerStream::loop() const { return connection_->loop_; }

// --- the request

void H2ServerStream::on_field(std::string_view name, std::string_view value) {
  const ServerLimits& limits = connection_->limits_;
  list_size_ += name.size() + value.size() + 32;
  ++list_count_;
  if (list_size_ > limits.max_header_size || list_count_ > limits.max_headers) return;
  value = trim_blanks(value);
  if (head_done_) {
    if (may_be_trailer(field_id(name))) trailers_in_.add(name, value);
    return;
  }
  if (name.starts_with(':')) {
    take_pseudo_field(name, value);
    return;
  }
  switch (field_id(name)) {
    case FieldId::host:
      if (!host_.empty()) host_ = ",";  // two of them: no host's name
      host_.append(value);
      break;
    case FieldId::cookie:  // RFC 9113 section 8.2.3
      if (!cookie_.empty()) cookie_.append("; ");
      cookie_.append(value);
      break;
    case FieldId::content_length:
      head_.content_length = parse_length(value);  // nghttp2 has judged it
      break;
    default:
      head_.fields.add(name, value);
  }
}

void H2ServerStream::take_pseudo_field(std::string_view name, std::string_view value) {
  if (name == ":method") {
    head_.method = value;
  } else if (name == ":scheme") {
    head_.scheme = value;
  } else if (name == ":authority") {
    head_.authority = value;
  } else if (name == ":path") {
    head_.target = value;
  }
}

int H2ServerStream::judge_head(bool end_stream, std::string_view& why) {
  const ServerLimits& limits = connection_->limits_;
  const auto no = [&why](int status, std::string_view text) {
    why = text;
    return status;
  };
  if (list_size_ > limits.max_header_size || list_count_ > limits.max_headers) {
    return no(431, "request header too large");
  }
  if (head_.target.size() > limits.max_uri) return no(414, "request target too long");
  if (!is_token(head_.method)) return no(400, "malformed method");
  if (head_.method == "CONNECT") {
    const auto target = parse_request_target(head_.method, head_.authority);
    if (!target) return no(400, "malformed authority");
    head_.authority = *target->authority;
    head_.target.clear();
    head_.scheme = connection_->peer_.tls ? "https" : "http";
  } else {
    if (head_.scheme != "http" && head_.scheme != "https") return no(400, "unknown scheme");
    if (!is_origin_form(head_.target) && !(head_.target == "*" && head_.method == "OPTIONS")) {
      return no(400, "malformed request target");
    }
    const std::string& named = head_.authority.empty() ? host_ : head_.authority;
    const std::optional<std::string> authority = parse_authority(named);
    if (!authority) return no(400, "malformed or missing authority");
    if (!host_.empty() && !head_.authority.empty() && parse_authority(host_) != authority) {
      return no(400, "Host differs from :authority");
    }
    head_.authority = *authority;
  }
  if (!cookie_.empty()) head_.fields.add(FieldId::cookie, cookie_);
  head_.has_body = !end_stream;
  if (head_.content_length.value_or(0) > limits.max_body_size) {
    return no(413, "request body too large");
  }
  return 0;
}

void H2ServerStream::on_fields_end(bool end_stream) {
  if (head_done_) {
    const ServerLimits& limits = connection_->limits_;
    if (list_size_ > limits.max_header_size || list_count_ > limits.max_headers) {
      refuse(431, "trailers too large", client_error(Error::Kind::too_large, "trailers"));
    }
    return;
  }
  head_done_ = true;
  std::string_view why;
  if (const int status = judge_head(end_stream, why)) {
    ++connection_->counters_.malformed;
    refuse(status, why, client_error(Error::Kind::malformed, why));
    return;
  }
  list_size_ = list_count_ = 0;  // trailers have their own bounds
  if (head_.has_body) {
    const auto expect = head_.fields.find(FieldId::expect);
    continue_awaited_ = expect && equals_ignoring_case(*expect, "100-continue");
  }
  ++connection_->counters_.requests_http2;
  handler_ = connection_->service_.on_request(*this);
  BW_CHECK(handler_ != nullptr);
  if (continue_awaited_ && output_open() && !input_paused()) send_informational(100, {});
}

void H2ServerStream::on_piece(std::string_view piece) {
  continue_awaited_ = false;  // the client didn't wait for it
  if (ended_ || finished_) return;
  body_bytes_ += piece.size();
  if (body_bytes_ > connection_->limits_.max_body_size) {
    refuse(413, "request body too large", client_error(Error::Kind::too_large, "request body"));
    return;
  }
  handler_->on_body(piece);
}

void H2ServerStream::on_stream_end() {
  whole_ = true;
  if (!ended_) handler_->on_body_end(trailers_in_);
}

void H2ServerStream::pause_body() {
  if (ended_ || finished_ || whole_) return;
  pause_input();
}

void H2ServerStream::resume_body() {
  if (ended_ || !input_paused()) return;
  if (continue_awaited_) send_informational(100, {});
  resume_input();
}

// --- the answer

void H2ServerStream::send_informational(int status, const FieldList& fields) {
  if (!output_open() || head_sent_ || status < 100 || status > 199 || status == 101) return;
  if (status == 100) {
    if (!continue_awaited_) return;  // not asked for, or told already
    continue_awaited_ = false;
    last_in_ = loop().now();
  }
  FieldList list;
  add_number(list, ":status", static_cast<uint64_t>(status));
  for (Field field : fields) {
    if (!is_connection_field(field.id) && is_field_name(field.name) &&
        is_field_value(field.value)) {
      list.add(field.name, field.value);
    }
  }
  session_->send_informational(*this, list);
}

void H2ServerStream::put_head(const ResponseHead& head) {
  head_sent_ = true;
  has_body_ = response_has_body(head_.method, head.status);
  if (has_body_) promised_ = head.content_length;
  out_head_.clear();
  add_number(out_head_, ":status", static_cast<uint64_t>(head.status));
  bool dated = false;
  for (Field field : head.fields) {
    if (is_connection_field(field.id)) continue;
    if (!is_field_name(field.name) || !is_text(field.value)) continue;
    dated = dated || field.id == FieldId::date;
    out_head_.add(field.name, field.value);
  }
  if (!dated) out_head_.add(FieldId::date, date_now(loop()));
  if (head.content_length && head.status != 204 &&
      !(head_.method == "CONNECT" && head.status < 300)) {
    add_number(out_head_, "content-length", *head.content_length);
  }
  if (!has_body_) queue_end(nullptr);
  session_->start(*this);
}

void H2ServerStream::send_head(const ResponseHead& head) {
  if (!output_open() || head_sent_) return;
  put_head(head);
}

void H2ServerStream::send_body(Slice piece) {
  if (!output_open() || !head_sent_ || !has_body_) return;
  if (promised_ && piece.size() > *promised_ - given_) {
    piece = piece.part(0, static_cast<size_t>(*promised_ - given_));  // never past the promise
  }
  given_ += piece.size();
  queue_body(std::move(piece));
}

void H2ServerStream::finish(const FieldList* trailers) {
  if (!output_open()) return;
  if (!head_sent_ || (promised_ && given_ < *promised_)) {
    // The handler is told once the reset is made: not inside its own call of finish().
    finished_ = short_ = true;
    session_->reset(*this, H2Code::internal_error);
    return;
  }
  finished_ = true;
  if (has_body_) queue_end(trailers);
  discard_input();
}

void H2ServerStream::abort(Error) {
  if (!output_open()) return;
  ended_ = true;
  session_->reset(*this, H2Code::internal_error);
}

void H2ServerStream::close_connection_after() { connection_->go_away(); }

uint64_t H2ServerStream::bytes_sent() const {
  if (connection_ == nullptr || sent_) return bytes_out_;
  const uint64_t waits = connection_->connection_->buffered();
  return bytes_out_ > waits ? bytes_out_ - waits : 0;
}

size_t H2ServerStream::buffered() const {
  return queued() + static_cast<size_t>(bytes_out_ - bytes_sent());
}

void H2ServerStream::on_room() {
  if (output_open()) handler_->on_writable();
}

// --- ends

void H2ServerStream::refuse(int status, std::string_view text, Error error) {
  const bool answered = head_sent_ || reset_ || closed_;
  tell_abort(error);
  if (answered) {
    session_->reset(*this, H2Code::cancel);
    return;
  }
  const std::string body = std::string(text) + "\n";
  ResponseHead head;
  head.status = status;
  head.fields.add(FieldId::content_type, "text/plain");
  head.content_length = body.size();
  put_head(head);
  if (has_body_) {
    queue_body(Slice::copy_of(body));
    queue_end(nullptr);
  }
  finished_ = true;
  discard_input();
}

void H2ServerStream::tell_abort(Error error) {
  if (std::exchange(ended_, true)) return;
  if (handler_ != nullptr) handler_->on_abort(error);
}

void H2ServerStream::on_sent_whole() {
  sent_ = true;
  if (!std::exchange(ended_, true)) handler_->on_sent();
  if (closed_) {
    connection_->remove(*this);
  } else if (!whole_) {
    session_->reset(*this, H2Code::no_error);  // RFC 9113 section 8.1: the rest isn't wanted
  }
}

void H2ServerStream::on_closed(uint32_t code) {
  if (out_made_ && !sent_) return;  // goes when the kernel has it all
  if (!out_made_) {
    if (!head_done_) ++connection_->counters_.malformed;
    if (short_) {
      tell_abort({.kind = Error::Kind::internal,
                  .side = Error::Side::self,
                  .text = "response ended short of its promise"});
    } else {
      tell_abort({.kind = Error::Kind::closed,
                  .side = Error::Side::client,
                  .code = static_cast<int32_t>(code),
                  .text = "stream was reset"});
    }
  }
  connection_->remove(*this);
}

}  // namespace bw::http
