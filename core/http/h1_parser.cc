#include "core/http/h1_parser.h"

#include <algorithm>

#include "core/http/h1_scan.h"

namespace bw::http {
namespace {

// Lengths are below 2^63, so that sums of them can't wrap.
constexpr size_t kLengthDigits = 18;
constexpr size_t kChunkDigits = 15;

bool parse_length(std::string_view text, uint64_t& length) {
  if (text.empty() || text.size() > kLengthDigits) return false;
  length = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool H1Parser::fail(int status, std::string_view text) {
  fault_ = {.status = status, .text = text};
  state_ = State::failed;
  keep_alive_ = false;
  return false;
}

uint64_t H1Parser::body_left() const {
  if (state_ == State::body) return left_;
  return state_ == State::end || state_ == State::head ? 0 : UINT64_MAX;
}

void H1Parser::start_body(uint64_t length) {
  left_ = length;
  state_ = length == 0 ? State::end : State::body;
}

void H1Parser::start_chunked() { state_ = State::chunk_size; }

H1Step H1Parser::next(std::string_view bytes) {
  switch (state_) {
    case State::head:
      return read_head(bytes);
    case State::body:
    case State::until_close:
      return read_body(bytes);
    case State::chunk_size:
    case State::chunk_data:
    case State::chunk_end:
    case State::trailers:
      return read_chunks(bytes);
    case State::end:
      state_ = State::head;
      scanned_ = line_start_ = extension_bytes_ = 0;
      blank_skipped_ = false;
      return {.event = H1Event::end};
    case State::failed:
      break;
  }
  return {.event = H1Event::failed};
}

// Sizes are judged before contents and by position only, so that a cut changes no verdict.
size_t H1Parser::find_block(std::string_view bytes, bool trailer) {
  const size_t limit = limits_.max_header_size;
  const size_t first = std::min(first_line_limit(), limit);
  for (;;) {
    const size_t at = find_lf(bytes, scanned_);
    if (!trailer && line_start_ == 0 && at >= first) {
      fail(first_line_status(), "start line too long");
      return 0;
    }
    if (at >= limit) {
      fail(431, trailer ? "trailers too large" : "header fields too large");
      return 0;
    }
    scanned_ = at;
    if (at == bytes.size()) return 0;
    if (at == line_start_ || bytes[at - 1] != '\r') {
      fail(400, "bare LF");
      return 0;
    }
    const bool empty = at - 1 == line_start_;
    if (line_start_ == 0) first_line_ = at + 1;
    line_start_ = scanned_ = at + 1;
    if (empty) {
      line_start_ = scanned_ = 0;
      return at + 1;
    }
  }
}

H1Step H1Parser::read_head(std::string_view bytes) {
  H1Step step;
  // RFC 9112 section 2.2: one empty line before a request line is forgiven.
  if (skips_blank_line() && !blank_skipped_ && !bytes.empty() && bytes[0] == '\r') {
    if (bytes.size() < 2) return step;
    if (bytes[1] == '\n') {
      blank_skipped_ = true;
      step.consumed = 2;
      bytes.remove_prefix(2);
    }
  }
  // What can't be HTTP (a TLS hello, say) is told at its first byte, not at a deadline.
  if (!bytes.empty() && (syntax::class_of(bytes[0]) & syntax::kToken) == 0) {
    fail(400, "start line");
    step.event = H1Event::failed;
    return step;
  }
  const size_t size = find_block(bytes, false);
  if (size > 0) {
    trailers_.clear();
    step.event = H1Event::head;
    if (on_head_block(bytes.substr(0, size - 2), step.event)) step.consumed += size;
  }
  if (state_ == State::failed) step.event = H1Event::failed;
  return step;
}

H1Step H1Parser::read_body(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (state_ == State::until_close) {
    return {.event = H1Event::body, .consumed = bytes.size(), .body = bytes};
  }
  const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  left_ -= size;
  if (left_ == 0) state_ = State::end;
  return {.event = H1Event::body, .consumed = size, .body = bytes.substr(0, size)};
}

H1Step H1Parser::read_chunks(std::string_view bytes) {
  H1Step step;
  const auto failed = [&step]() {
    step.event = H1Event::failed;
    return step;
  };
  for (;;) {
    std::string_view rest = bytes.substr(step.consumed);
    if (state_ == State::chunk_end) {
      if (!rest.empty() && rest[0] != '\r')
        return fail(400, "chunk longer than its size"), failed();
      if (rest.size() < 2) return step;
      if (rest[1] != '\n') return fail(400, "chunk longer than its size"), failed();
      step.consumed += 2;
      state_ = State::chunk_size;
    } else if (state_ == State::chunk_size) {
      const size_t at = std::min(rest.find('\n', scanned_), rest.size());
      if (at >= limits_.max_chunk_line) return fail(400, "chunk line too long"), failed();
      scanned_ = at;
      if (at == rest.size()) return step;
      scanned_ = 0;
      if (at == 0 || rest[at - 1] != '\r') return fail(400, "bare LF in chunk line"), failed();
      if (!read_chunk_size(rest.substr(0, at - 1))) return failed();
      step.consumed += at + 1;
    } else if (state_ == State::chunk_data) {
      if (rest.empty()) return step;
      const size_t size = static_cast<size_t>(std::min<uint64_t>(left_, rest.size()));
      left_ -= size;
      if (left_ == 0) state_ = State::chunk_end;
      step.event = H1Event::body;
      step.consumed += size;
      step.body = rest.substr(0, size);
      return step;
    } else {  // trailers
      const size_t size = find_block(rest, true);
      if (size > 0) read_trailer_block(rest.substr(0, size - 2));
      if (state_ == State::failed) return failed();
      if (size == 0) return step;
      step.consumed += size;
      step.event = H1Event::end;
      state_ = State::end;
      next({});
      return step;
    }
  }
}

// RFC 9112 section 7.1: 1*HEXDIG, then extensions, which are bounded and ignored.
bool H1Parser::read_chunk_size(std::string_view line) {
  size_t digits = 0;
  left_ = 0;
  while (digits < line.size() && hex_digit(line[digits]) >= 0) {
    if (digits == kChunkDigits) return fail(400, "chunk size");
    left_ = left_ * 16 + static_cast<uint64_t>(hex_digit(line[digits++]));
  }
  if (digits == 0) return fail(400, "chunk size");
  const std::string_view extension = line.substr(digits);
  if (!extension.empty()) {
    const size_t start = extension.find_first_not_of(" \t");
    if (start == std::string_view::npos || extension[start] != ';' || !is_text(extension)) {
      return fail(400, "chunk size");
    }
    extension_bytes_ += extension.size();
    if (extension_bytes_ > limits_.max_chunk_extensions) {
      return fail(400, "chunk extensions too long");
    }
  }
  state_ = left_ == 0 ? State::trailers : State::chunk_data;
  return true;
}

void H1Parser::read_trailer_block(std::string_view block) {
  FieldList all;
  if (!read_fields(block, all, nullptr)) return;
  for (Field field : all) {
    if (may_be_trailer(field.id)) trailers_.add(field.name, field.value);
  }
}

std::string_view H1Parser::take_first_line(std::string_view& block) const {
  const std::string_view line = block.substr(0, first_line_ - 2);
  block.remove_prefix(first_line_);
  return line;
}

// find_block saw each line end in CRLF, so that both runs below stop within the block.
bool H1Parser::read_fields(std::string_view block, FieldList& fields, Framing* framing) {
  char* at = fields.copy_block(block);
  const char* const end = at + block.size();
  const auto text_end = [start = at, copy = std::string_view(at, block.size())](char* from) {
    return start + end_of_text(copy, static_cast<size_t>(from - start));
  };
  for (size_t count = 0; at != end;) {
    if (++count > limits_.max_headers) return fail(431, "too many header fields");
    if (*at == ' ' || *at == '\t') return fail(400, "folded line");
    char* const name_start = at;
    at = lower_token(at, end);
    const std::string_view name(name_start, static_cast<size_t>(at - name_start));
    if (*at != ':' || name.empty()) {
      const std::string_view rest(at, static_cast<size_t>(end - at));
      const bool colon = rest.substr(0, rest.find('\n')).find(':') != std::string_view::npos;
      return fail(400, colon ? "field name" : "field line without colon");
    }
    do {
      ++at;
    } while (*at == ' ' || *at == '\t');
    char* const value_start = at;
    at = text_end(at);
    if (*at != '\r' || at[1] != '\n') return fail(400, "field value");
    size_t size = static_cast<size_t>(at - value_start);
    while (size > 0 && (value_start[size - 1] == ' ' || value_start[size - 1] == '\t')) --size;
    const std::string_view value(value_start, size);
    at += 2;
    const FieldId id = field_id_of_lower(name);
    if (framing != nullptr && (id == FieldId::host || id == FieldId::content_length ||
                               id == FieldId::transfer_encoding || id == FieldId::connection)) {
      if (!read_framing_field(id, value, *framing)) return false;
      if (id != FieldId::connection) continue;
    }
    fields.add_in_block(id, name, value);
  }
  return true;
}

bool H1Parser::read_framing_field(FieldId id, std::string_view value, Framing& framing) {
  if (id == FieldId::host) {
    ++framing.hosts;
    framing.host = value;
  } else if (id == FieldId::content_length) {
    uint64_t length = 0;
    if (!parse_length(value, length)) return fail(400, "Content-Length");
    if (framing.has_length && framing.length != length) {
      return fail(400, "differing Content-Length");
    }
    framing.has_length = true;
    framing.length = length;
  } else if (id == FieldId::transfer_encoding) {
    if (framing.codings++ > 0) framing.coding.push_back(',');
    framing.coding.append(value);
  } else {
    for (std::string_view rest = value; !rest.empty();) {
      const std::string_view option = next_member(rest);
      framing.close = framing.close || equals_ignoring_case(option, "close");
      framing.keep = framing.keep || equals_ignoring_case(option, "keep-alive");
    }
  }
  return true;
}

// The only coding understood is chunked, once and alone; it may be nowhere but last.
bool H1Parser::check_coding(const Framing& framing) {
  if (framing.has_length) return fail(400, "Transfer-Encoding with Content-Length");
  size_t members = 0;
  size_t chunked_at = SIZE_MAX;
  bool other = false;
  for (std::string_view rest = framing.coding; !rest.empty(); ++members) {
    const std::string_view coding = next_member(rest);
    if (coding.empty()) return fail(400, "Transfer-Encoding");
    if (equals_ignoring_case(coding, "chunked")) {
      if (chunked_at != SIZE_MAX) return fail(400, "chunked twice");
      chunked_at = members;
    } else {
      const std::string_view name = trim_blanks(coding.substr(0, coding.find(';')));
      if (!is_token(name) || equals_ignoring_case(name, "chunked")) {
        return fail(400, "Transfer-Encoding");
      }
      other = true;
    }
  }
  if (members == 0 || framing.coding.back() == ',') return fail(400, "Transfer-Encoding");
  if (chunked_at != SIZE_MAX && chunked_at != members - 1) return fail(400, "chunked not last");
  if (other) return fail(501, "unknown transfer coding");
  return true;
}

}  // namespace bw::http
