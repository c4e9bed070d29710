// Heads of both directions: request line and status line, Host, and how the body is framed.
#include <algorithm>

#include "core/http/h1_parser.h"
#include "core/http/h1_syntax.h"
#include "core/http/target.h"

namespace bw::http {
namespace {

constexpr size_t kMaxMethod = 64;

// HTTP/1.1 of any minor from 1 on (RFC 9110 section 2.5), or 1.0. 0: well formed, another major.
enum class VersionWord : uint8_t { bad, http10, http11, other };

VersionWord parse_version(std::string_view word) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (word.size() != 8 || !word.starts_with("HTTP/") || !digit(word[5]) || word[6] != '.' ||
      !digit(word[7])) {
    return VersionWord::bad;
  }
  if (word[5] != '1') return VersionWord::other;
  return word[7] == '0' ? VersionWord::http10 : VersionWord::http11;
}

}  // namespace

bool H1RequestParser::on_head_block(std::string_view block, H1Event&) {
  RequestHead& head = *head_;
  if (head.scheme != scheme_) head.scheme = scheme_;
  head.protocol.clear();
  head.fields.clear();
  head.content_length.reset();
  Framing framing;
  return read_request_line(take_first_line(block)) && read_fields(block, head.fields, &framing) &&
         read_host(framing) && read_framing(framing);
}

bool H1RequestParser::read_request_line(std::string_view line) {
  RequestHead& head = *head_;
  const size_t first = line.find(' ');
  const bool usual = line.ends_with(" HTTP/1.1");
  const size_t last = usual ? line.size() - 9 : line.rfind(' ');
  if (first == std::string_view::npos || first == last) return fail(400, "request line");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(method) || method.size() > kMaxMethod) return fail(400, "method");
  const bool origin_form = is_origin_form(target);
  if (!origin_form && (!is_text(target) || target.empty() || target.find(' ') != target.npos)) {
    return fail(400, "request target");
  }
  switch (usual ? VersionWord::http11 : parse_version(line.substr(last + 1))) {
    case VersionWord::bad:
      return fail(400, "HTTP version");
    case VersionWord::other:
      return fail(505, "HTTP version");
    case VersionWord::http10:
      head.version = Version::http10;
      break;
    case VersionWord::http11:
      head.version = Version::http11;
      break;
  }
  if (target.size() > limits_.max_uri) return fail(414, "request target too long");
  if (head.method != method) head.method = method;
  absolute_ = false;
  if (origin_form && method != "CONNECT") {
    head.target = target;
    return true;
  }
  std::optional<RequestTarget> parsed = parse_request_target(method, target);
  if (!parsed) return fail(400, "request target");
  head.target = std::move(parsed->target);
  absolute_ = parsed->authority.has_value();
  if (absolute_) head.authority = std::move(*parsed->authority);
  return true;
}

// RFC 9112 section 3.2: one valid Host in 1.1; that of the target wins over it.
bool H1RequestParser::read_host(const Framing& framing) {
  if (framing.hosts > 1) return fail(400, "several Host fields");
  if (framing.hosts == 0) {
    if (head_->version != Version::http10) return fail(400, "no Host field");
    if (!absolute_) head_->authority.clear();
    return true;
  }
  if (absolute_) {
    thread_local std::string unused;
    return read_authority(framing.host, unused) || fail(400, "Host field");
  }
  // What an earlier request came to is written as it stays.
  if (!framing.host.empty() && framing.host == head_->authority) return true;
  return read_authority(framing.host, head_->authority) || fail(400, "Host field");
}

// RFC 9112 section 6.3, with every doubtful case refused.
bool H1RequestParser::read_framing(const Framing& framing) {
  if (framing.codings > 0) {
    if (head_->version == Version::http10) return fail(400, "Transfer-Encoding in HTTP/1.0");
    if (!check_coding(framing)) return false;
    head_->has_body = true;
    start_chunked();
  } else {
    if (framing.has_length) head_->content_length = framing.length;
    head_->has_body = framing.length > 0;
    start_body(framing.length);
  }
  keep_alive_ = !framing.close && (head_->version != Version::http10 || framing.keep);
  return true;
}

bool H1ResponseParser::on_head_block(std::string_view block, H1Event& event) {
  head_.fields.clear();
  head_.content_length.reset();
  proven_ = true;
  Framing framing;
  if (!read_status_line(take_first_line(block)) || !read_fields(block, head_.fields, &framing)) {
    return false;
  }
  if (framing.hosts > 0) return fail(502, "Host field in a response");
  if (head_.status < 200) {
    // 101 would need an Upgrade that is never asked for here.
    if (head_.status == 101) return fail(502, "unasked 101");
    if (framing.has_length || framing.codings > 0) return fail(502, "framing in a 1xx");
    event = H1Event::informational;
    state_ = State::head;
    return true;
  }
  return read_framing(framing);
}

bool H1ResponseParser::read_status_line(std::string_view line) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  // The reason may be empty, and its blank missing then (common, harmless).
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ') ||
      !std::all_of(line.begin() + 9, line.begin() + 12, digit) || !is_text(line)) {
    return fail(502, "status line");
  }
  switch (parse_version(line.substr(0, 8))) {
    case VersionWord::bad:
    case VersionWord::other:
      return fail(502, "HTTP version");
    case VersionWord::http10:
      head_.version = Version::http10;
      break;
    case VersionWord::http11:
      head_.version = Version::http11;
      break;
  }
  head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head_.status < 100 || head_.status > 599) return fail(502, "status code");
  return true;
}

bool H1ResponseParser::read_framing(const Framing& framing) {
  keep_alive_ = !framing.close && (head_.version != Version::http10 || framing.keep);
  if (framing.codings > 0) {
    if (head_.version == Version::http10) return fail(502, "Transfer-Encoding in HTTP/1.0");
    if (!check_coding(framing)) return false;
    // RFC 9112 section 6.1: never with 204.
    if (head_.status == 204) return fail(502, "Transfer-Encoding in a 204");
  }
  // RFC 9110 section 8.6: nor a length; tolerated when it says 0, as many origins do.
  if (head_.status == 204 && framing.length > 0) return fail(502, "Content-Length in a 204");
  if (framing.has_length && head_.status != 204) head_.content_length = framing.length;
  if (!response_has_body(method_, head_.status)) {
    start_body(0);
  } else if (framing.codings > 0) {
    start_chunked();
  } else if (framing.has_length) {
    start_body(framing.length);
  } else {
    keep_alive_ = false;
    proven_ = false;
    start_until_close();
  }
  return true;
}

H1Step H1ResponseParser::on_close() {
  if (state_ == State::end) return next({});
  if (state_ == State::until_close) {
    state_ = State::end;
    return next({});
  }
  if (state_ != State::failed) {
    fail(502, state_ == State::head ? "closed before a response" : "closed within a response");
  }
  return {.event = H1Event::failed};
}

}  // namespace bw::http
