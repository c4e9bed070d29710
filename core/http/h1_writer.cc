#include "core/http/h1_writer.h"

#include <charconv>

#include "core/base/appender.h"
#include "core/http/h1_syntax.h"
#include "core/http/target.h"

namespace bw::http {
namespace {

// What the head of a response takes beside texts that it is given: the rest of the status line, of
// Date, framing and Connection.
constexpr size_t kHeadRoom = 128;

void append_number(std::string& out, uint64_t value, int base = 10) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (!is_token(name) || !is_text(value)) return;
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_length(std::string& out, uint64_t length) {
  out.append("content-length: ");
  append_number(out, length);
  out.append("\r\n");
}

void put_line(Appender& text, std::string_view name, std::string_view value) {
  text.put(name).put(": ").put(value).put("\r\n");
}

void put_checked_line(Appender& text, const Field& field) {
  if (is_token(field.name) && is_text(field.value)) put_line(text, field.name, field.value);
}

void put_status_line(Appender& text, int status) {
  text.put("HTTP/1.1 ").put_number(status).put(" ").put(reason_phrase(status)).put("\r\n");
}

// What ends the head of each response; an empty date isn't said.
void put_end(Appender& text, H1Framing framing, uint64_t length, std::string_view connection,
             std::string_view date) {
  if (!date.empty()) put_line(text, "date", date);
  if (framing == H1Framing::length) text.put("content-length: ").put_number(length).put("\r\n");
  if (framing == H1Framing::chunked) text.put("transfer-encoding: chunked\r\n");
  if (!connection.empty()) put_line(text, "connection", connection);
  text.put("\r\n");
}

}  // namespace

bool append_request_head(std::string& out, const RequestHead& head, bool close) {
  const bool connect = head.method == "CONNECT";
  if (!is_token(head.method) || parse_authority(head.authority) != head.authority) return false;
  if (!connect && head.target != "*" && !is_origin_form(head.target)) return false;
  out.append(head.method).append(" ");
  out.append(connect ? head.authority : head.target);
  out.append(" HTTP/1.1\r\nhost: ").append(head.authority).append("\r\n");
  bool te = false;
  for (Field field : head.fields) {
    if (is_connection_field(field.id) || field.id == FieldId::host) continue;
    te = te || field.id == FieldId::te;
    append_field(out, field.name, field.value);
  }
  if (head.content_length) {
    append_length(out, *head.content_length);
  } else if (head.has_body) {
    out.append("transfer-encoding: chunked\r\n");
  } else if (head.method == "POST" || head.method == "PUT" || head.method == "PATCH") {
    append_length(out, 0);  // RFC 9110 section 8.6: their meaning expects a body
  }
  // RFC 9110 section 10.1.4: TE is for the next hop only, and Connection says so.
  if (te || close) {
    out.append("connection: ").append(te ? "te" : "").append(te && close ? ", " : "");
    out.append(close ? "close" : "").append("\r\n");
  }
  out.append("\r\n");
  return true;
}

void append_response_head(std::string& out, const ResponseHead& head, H1Framing framing,
                          uint64_t length, std::string_view connection, std::string_view date) {
  Appender text(out, kHeadRoom + reason_phrase(head.status).size() + head.fields.bytes() +
                         connection.size() + date.size());
  put_status_line(text, head.status);
  for (const Field field : head.fields) {
    if (!is_connection_field(field.id)) put_checked_line(text, field);
  }
  put_end(text, framing, length, connection, head.fields.has(FieldId::date) ? "" : date);
}

void append_prepared_head(std::string& out, const PreparedHead& head, std::span<const Field> more,
                          H1Framing framing, uint64_t length, std::string_view connection,
                          std::string_view date) {
  size_t room = kHeadRoom + reason_phrase(head.status()).size() + head.lines().size() +
                connection.size() + date.size();
  for (const Field& field : more) room += field.name.size() + field.value.size() + 4;
  Appender text(out, room);
  put_status_line(text, head.status());
  text.put(head.lines());
  for (const Field& field : more) put_line(text, field.name, field.value);
  put_end(text, framing, length, connection, head.dated() ? "" : date);
}

void append_informational(std::string& out, int status, const FieldList& fields) {
  Appender text(out, kHeadRoom + reason_phrase(status).size() + fields.bytes());
  put_status_line(text, status);
  for (const Field field : fields) {
    if (!is_connection_field(field.id)) put_checked_line(text, field);
  }
  text.put("\r\n");
}

void append_chunk_size(std::string& out, uint64_t size) {
  append_number(out, size, 16);
  out.append("\r\n");
}

void append_last_chunk(std::string& out, const FieldList* trailers) {
  out.append("0\r\n");
  if (trailers != nullptr) {
    for (Field field : *trailers) {
      if (may_be_trailer(field.id)) append_field(out, field.name, field.value);
    }
  }
  out.append("\r\n");
}

}  // namespace bw::http
