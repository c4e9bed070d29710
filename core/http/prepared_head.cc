#include "core/http/prepared_head.h"

#include "core/http/h1_syntax.h"
#include "core/http/server_stream.h"

namespace bw::http {

void PreparedHead::add(const Field& field) {
  if (is_connection_field(field.id) || !is_token(field.name) || !is_text(field.value)) return;
  dated_ = dated_ || field.id == FieldId::date;
  lines_.append(field.name).append(": ").append(field.value).append("\r\n");
}

void ServerStream::send_prepared(const PreparedHead& head, std::span<const Field> more) {
  ResponseHead whole;
  whole.status = head.status();
  whole.content_length = head.content_length();
  head.for_each(
      [&whole](std::string_view name, std::string_view value) { whole.fields.add(name, value); });
  for (const Field& field : more) whole.fields.add(field.name, field.value);
  send_head(whole);
}

}  // namespace bw::http
