#include "edge/cache/validators.h"

#include <vector>

#include "core/http/dates.h"
#include "edge/cache/field_text.h"

namespace bw::edge {
namespace {

using http::FieldId;

// The length of the entity tag at the start of `text`; 0: none (RFC 9110 section 8.8.3).
size_t etag_size(std::string_view text) {
  size_t i = text.substr(0, 2) == "W/" ? 2 : 0;
  if (i >= text.size() || text[i] != '"') return 0;
  for (++i; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c == '"') return i + 1;
    if (c < 0x21 || c == 0x7f) return 0;
  }
  return 0;
}

std::string_view opaque(std::string_view etag) {
  return etag.substr(0, 2) == "W/" ? etag.substr(2) : etag;
}

bool etags_equal(std::string_view a, std::string_view b, bool weak) {
  if (a.empty() || b.empty()) return false;
  return weak ? opaque(a) == opaque(b) : a == b && a[0] == '"';
}

// The scale for two-digit years: what the response says of now, or the year this was written in.
int64_t century_of(const Validators& validators) {
  return validators.date_s.value_or(1'700'000'000);
}

std::optional<int64_t> date_of(const http::FieldList& fields, FieldId id, int64_t now) {
  const auto text = fields.find(id);
  return text.has_value() ? http::parse_date(*text, now) : std::nullopt;
}

bool is_get_or_head(const http::RequestHead& request) {
  return request.method == "GET" || request.method == "HEAD";
}

}  // namespace

Validators validators_of(const http::FieldList& response) {
  Validators validators;
  validators.date_s = date_of(response, FieldId::date, century_of(validators));
  validators.last_modified_s = date_of(response, FieldId::last_modified, century_of(validators));
  if (const auto etag = response.find(FieldId::etag);
      etag.has_value() && !etag->empty() && etag_size(*etag) == etag->size()) {
    validators.etag = *etag;
  }
  return validators;
}

bool etag_list_matches(std::string_view field, std::string_view etag, bool weak) {
  field = trim_blanks(field);
  if (field == "*") return true;
  while (!field.empty()) {
    const size_t size = etag_size(field);
    if (size == 0) {
      // An empty member, or one that is no tag: the next comma is the next chance.
      const size_t comma = field.find(',');
      if (comma == std::string_view::npos) return false;
      field = trim_blanks(field.substr(comma + 1));
      continue;
    }
    const std::string_view rest = trim_blanks(field.substr(size));
    const bool ends = rest.empty() || rest[0] == ',';
    if (ends && etags_equal(field.substr(0, size), etag, weak)) return true;
    const size_t comma = rest.find(',');
    if (comma == std::string_view::npos) return false;
    field = trim_blanks(rest.substr(comma + 1));
  }
  return false;
}

Condition evaluate_conditions(const http::RequestHead& request, const Validators& validators,
                              bool exists) {
  // RFC 9110 section 13.2.1: an answer that isn't 2xx stands, whatever was asked.
  if (!exists) return Condition::holds;
  const http::FieldList& fields = request.fields;
  const int64_t now = century_of(validators);

  if (const auto if_match = fields.combined(FieldId::if_match)) {
    if (!etag_list_matches(*if_match, validators.etag, false)) return Condition::failed;
  } else if (const auto since = date_of(fields, FieldId::if_unmodified_since, now)) {
    if (validators.last_modified_s.has_value() && *validators.last_modified_s > *since) {
      return Condition::failed;
    }
  }
  if (const auto if_none_match = fields.combined(FieldId::if_none_match)) {
    if (etag_list_matches(*if_none_match, validators.etag, true)) {
      return is_get_or_head(request) ? Condition::not_modified : Condition::failed;
    }
  } else if (is_get_or_head(request)) {
    if (const auto since = date_of(fields, FieldId::if_modified_since, now)) {
      // Without Last-Modified a cache compares with Date (RFC 9111 section 4.3.2).
      const auto modified =
          validators.last_modified_s.has_value() ? validators.last_modified_s : validators.date_s;
      if (modified.has_value() && *modified <= *since) return Condition::not_modified;
    }
  }
  return Condition::holds;
}

bool if_range_holds(const http::RequestHead& request, const Validators& validators) {
  const auto field = request.fields.find(FieldId::if_range);
  if (!field.has_value()) return true;
  if (etag_size(*field) == field->size() && !field->empty()) {
    return etags_equal(*field, validators.etag, false);
  }
  const auto date = http::parse_date(*field, century_of(validators));
  // A date is strong when the response is at least a second younger (RFC 9110 section 8.8.2.2).
  return date.has_value() && validators.last_modified_s == date && validators.date_s.has_value() &&
         *validators.date_s - *date >= 1;
}

bool is_conditional(const http::RequestHead& request) {
  for (const FieldId id : {FieldId::if_match, FieldId::if_none_match, FieldId::if_modified_since,
                           FieldId::if_unmodified_since}) {
    if (request.fields.has(id)) return true;
  }
  return false;
}

void set_conditions(http::FieldList& request, const Validators& stored) {
  for (const FieldId id : {FieldId::if_match, FieldId::if_none_match, FieldId::if_modified_since,
                           FieldId::if_unmodified_since, FieldId::if_range, FieldId::range}) {
    request.remove(id);
  }
  if (!stored.etag.empty()) request.add(FieldId::if_none_match, stored.etag);
  if (stored.last_modified_s.has_value()) {
    request.add(FieldId::if_modified_since, http::format_date(*stored.last_modified_s));
  }
}

bool not_modified_selects(const http::FieldList& not_modified, const Validators& stored) {
  const Validators update = validators_of(not_modified);
  if (!update.etag.empty()) return etags_equal(update.etag, stored.etag, !update.strong());
  if (update.last_modified_s.has_value()) return update.last_modified_s == stored.last_modified_s;
  return true;  // it names none: the one that was asked about
}

void freshen_fields(http::FieldList& stored, const http::FieldList& update) {
  http::FieldList clean = update;
  http::remove_hop_by_hop(clean);
  // Those that describe the body we keep; Vary chose the variant that this is.
  for (const FieldId id : {FieldId::content_length, FieldId::content_encoding,
                           FieldId::content_type, FieldId::content_range, FieldId::vary}) {
    clean.remove(id);
  }
  for (const http::Field field : clean) stored.remove(field.name);
  for (const http::Field field : clean) stored.add(field.name, field.value);
}

}  // namespace bw::edge
