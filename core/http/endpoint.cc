#include "core/http/endpoint.h"

#include <algorithm>
#include <utility>

#include "core/http/h1_syntax.h"

namespace bw::http {
namespace {

std::string json_text(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out.append("\\u00").append({kHex[byte >> 4], kHex[byte & 15]});
    } else {
      out.push_back(c);
    }
  }
  return out += "\"";
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::optional<std::string> EndpointRequest::query(std::string_view name) const {
  std::optional<std::string_view> rest = head.query();
  while (rest && !rest->empty()) {
    const size_t end = std::min(rest->find('&'), rest->size());
    const std::string_view pair = rest->substr(0, end);
    rest->remove_prefix(std::min(end + 1, rest->size()));
    const size_t equal = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equal) != name) continue;
    return percent_decode(pair.substr(std::min(equal + 1, pair.size())));
  }
  return std::nullopt;
}

bool EndpointRequest::reads() const { return head.method == "GET" || head.method == "HEAD"; }

std::optional<std::string> EndpointRequest::bearer() const {
  constexpr std::string_view kScheme = "bearer ";
  const std::string given = head.fields.combined(FieldId::authorization).value_or("");
  // RFC 9110 section 11.1: a scheme's case doesn't matter.
  if (!equals_ignoring_case(std::string_view(given).substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  const size_t first = given.find_first_not_of(' ', kScheme.size());
  if (first == std::string::npos) return std::nullopt;
  return given.substr(first, given.find_last_not_of(' ') - first + 1);
}

EndpointResponse EndpointResponse::json(int status, std::string body) {
  EndpointResponse response{.status = status, .fields = {}, .body = std::move(body)};
  response.fields.add(FieldId::content_type, "application/json");
  return response;
}

EndpointResponse EndpointResponse::problem(int status, std::string_view name,
                                           std::string_view detail) {
  EndpointResponse response{.status = status, .fields = {}, .body = {}};
  response.fields.add(FieldId::content_type, "application/problem+json");
  response.body =
      "{\"type\":" + json_text("https://breakwater.invalid/problems/" + std::string(name)) +
      ",\"title\":" + json_text(reason_phrase(status)) + ",\"status\":" + std::to_string(status);
  if (!detail.empty()) response.body += ",\"detail\":" + json_text(detail);
  response.body += "}";
  return response;
}

EndpointResponse EndpointResponse::wrong_method(std::string_view allowed) {
  EndpointResponse response = problem(405, "method", "This resource has other methods.");
  response.fields.set(FieldId::allow, allowed);
  return response;
}

EndpointResponse EndpointResponse::unauthorized(std::string_view detail) {
  EndpointResponse response = problem(401, "unauthorized", detail);
  response.fields.set(FieldId::www_authenticate, "Bearer");
  return response;
}

// Shared by the Reply, which may be anywhere, and the stream's handler, which the connection owns.
class Reply::State {
 public:
  explicit State(ServerStream& s) : stream(&s), loop(s.loop()) {}

  void send(const EndpointResponse& response) {
    if (stream == nullptr || begun) return;
    begun = true;
    on_gone = nullptr;
    ResponseHead head;
    head.status = response.status;
    head.fields = response.fields;
    head.content_length = response.body.size();
    stream->send_head(head);
    if (!response.body.empty()) stream->send_body(Slice::copy_of(response.body));
    // From here on the stream may not be called.
    std::exchange(stream, nullptr)->finish();
  }

  ServerStream* stream;  // null once it ended
  net::Loop& loop;
  bool begun = false;
  bool gone = false;
  Task on_gone;
};

Reply::Reply(std::shared_ptr<State> state) : state_(std::move(state)) {}
Reply::Reply(Reply&&) noexcept = default;

Reply& Reply::operator=(Reply&& other) noexcept {
  Reply old(std::exchange(state_, std::move(other.state_)));
  return *this;
}

Reply::~Reply() {
  if (state_ == nullptr || state_->stream == nullptr) return;
  state_->on_gone = nullptr;
  if (!state_->begun) {
    state_->send(EndpointResponse::problem(500, "unanswered", ""));
  } else {
    std::exchange(state_->stream, nullptr)
        ->abort(Error{.kind = Error::Kind::cancelled, .text = "reply was dropped"});
  }
}

void Reply::send(EndpointResponse response) { state_->send(response); }

void Reply::start_stream(int status, const FieldList& fields) {
  if (state_->stream == nullptr || state_->begun) return;
  state_->begun = true;
  ResponseHead head;
  head.status = status;
  head.fields = fields;
  state_->stream->send_head(head);
}

bool Reply::write(std::string_view bytes) {
  if (state_->stream == nullptr) return false;
  if (!bytes.empty()) state_->stream->send_body(Slice::copy_of(bytes));
  return true;
}

size_t Reply::buffered() const {
  return state_->stream == nullptr ? 0 : state_->stream->buffered();
}

void Reply::finish() {
  state_->on_gone = nullptr;
  if (state_->stream != nullptr) std::exchange(state_->stream, nullptr)->finish();
}

bool Reply::client_gone() const { return state_->gone; }
void Reply::on_gone(Task task) { state_->on_gone = std::move(task); }
net::Loop& Reply::loop() const { return state_->loop; }

namespace {

class EndpointStream final : public StreamHandler {
 public:
  EndpointStream(ServerStream& stream, EndpointService::Handler& handler, size_t max_body)
      : state_(std::make_shared<Reply::State>(stream)), handler_(handler), max_body_(max_body) {
    request_.head = stream.request();
    request_.peer = stream.peer();
    request_.peer.tls_info = nullptr;
    if (request_.head.content_length.value_or(0) > max_body_) refuse();
  }

  void on_body(std::string_view piece) override {
    if (state_->stream == nullptr) return;
    if (piece.size() > max_body_ - request_.body.size()) {
      refuse();
      return;
    }
    request_.body.append(piece);
  }
  void on_body_end(const FieldList&) override {
    if (state_->stream != nullptr) handler_(std::move(request_), Reply(state_));
  }
  void on_abort(Error) override {
    state_->stream = nullptr;
    state_->gone = true;
    Task task = std::exchange(state_->on_gone, nullptr);
    if (task) task();
  }

 private:
  void refuse() { state_->send(EndpointResponse::problem(413, "too-large", "request body")); }

  const std::shared_ptr<Reply::State> state_;
  EndpointService::Handler& handler_;
  const size_t max_body_;
  EndpointRequest request_;
};

}  // namespace

EndpointService::EndpointService(Handler handler, size_t max_body)
    : handler_(std::move(handler)), max_body_(max_body) {}

std::unique_ptr<StreamHandler> EndpointService::on_request(ServerStream& stream) {
  return std::make_unique<EndpointStream>(stream, handler_, max_body_);
}

}  // namespace bw::http
