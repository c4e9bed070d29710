#include "edge/proxy/answer.h"

#include <charconv>

#include "edge/cache/ranges.h"
#include "edge/proxy/forward.h"

namespace bw::edge {
namespace {

using http::FieldId;

// Whether a name is said of each answer anew.
bool is_ours(std::string_view name) {
  return name == "age" || name == "cache-status" || name == "via" || name == "date" ||
         name == "content-length";
}

}  // namespace

Part choose_part(const http::RequestHead& request, int status, const Validators& validators,
                 std::optional<uint64_t> size) {
  const bool head = request.method == "HEAD";
  Part part{.status = status,
            .whole = true,
            .offset = 0,
            .length = size.value_or(0),
            .body = !head && http::response_has_body(request.method, status)};
  if (status != 200) return part;
  if (is_conditional(request)) {
    switch (evaluate_conditions(request, validators)) {
      case Condition::holds:
        break;
      case Condition::not_modified:
        return {.status = 304, .whole = true, .offset = 0, .length = 0, .body = false};
      case Condition::failed:
        return {.status = 412, .whole = false, .offset = 0, .length = 0, .body = false};
    }
  }
  // Range is defined for GET alone (RFC 9110 section 14.2).
  if (head || !size || !request.fields.has(FieldId::range)) return part;
  if (!if_range_holds(request, validators)) return part;
  const RangeAnswer range = resolve_range(*request.fields.combined(FieldId::range), *size);
  if (range.kind == RangeAnswer::Kind::unsatisfiable) {
    return {.status = 416, .whole = false, .offset = 0, .length = 0, .body = false};
  }
  if (range.kind == RangeAnswer::Kind::part) {
    return {.status = 206,
            .whole = false,
            .offset = range.offset,
            .length = range.length,
            .body = true};
  }
  return part;
}

bool MoreFields::add(const http::Field& field) {
  if (size_ == kMost) return false;
  fields_[size_++] = field;
  return true;
}

bool MoreFields::fill(const http::FieldList& stored, const AnswerFacts& facts) {
  if (facts.tier || facts.site == nullptr || facts.site->expose_tags || facts.route == nullptr) {
    return false;
  }
  const HeaderEdits& edits = facts.route->headers;
  for (const std::string& name : edits.response_remove) {
    if (is_ours(name) || stored.find(name)) return false;
  }
  for (const auto& [name, value] : edits.response_set) {
    if (is_ours(name) || stored.find(name) || !http::is_field_name(name) ||
        !http::is_field_value(value) || http::is_connection_field(http::field_id(name)) ||
        !add({.id = http::field_id(name), .name = name, .value = value})) {
      return false;
    }
  }
  bool room = add({.id = FieldId::via, .name = "via", .value = facts.via});
  if (facts.age) {
    const auto end = std::to_chars(age_.data(), age_.data() + age_.size(), *facts.age).ptr;
    room = room && add({.id = FieldId::age,
                        .name = "age",
                        .value = {age_.data(), static_cast<size_t>(end - age_.data())}});
  }
  return room &&
         add({.id = FieldId::cache_status, .name = "cache-status", .value = facts.cache_status});
}

void dress(http::FieldList& fields, const AnswerFacts& facts) {
  if (!facts.tier) {
    if (facts.site == nullptr || !facts.site->expose_tags) {
      fields.remove(FieldId::cache_tag);
      fields.remove(FieldId::surrogate_key);
    }
    fields.remove(FieldId::cdn_cache_control);
    fields.remove(FieldId::surrogate_control);
  }
  fields.add(FieldId::via, facts.via);
  if (facts.age) fields.set(FieldId::age, std::to_string(*facts.age));
  fields.set(FieldId::cache_status, facts.cache_status);
  if (facts.route != nullptr && !facts.tier) facts.route->headers.edit_response(fields);
}

http::ResponseHead make_answer(const http::FieldList& fields, const Part& part,
                               const AnswerFacts& facts) {
  http::ResponseHead head;
  head.status = part.status;
  head.fields = fields;
  dress(head.fields, facts);
  switch (part.status) {
    case 304:
      // What describes a body that doesn't come (RFC 9110 section 15.4.5).
      for (const FieldId id : {FieldId::content_type, FieldId::content_encoding}) {
        head.fields.remove(id);
      }
      return head;
    case 412:
    case 416:
      for (const FieldId id : {FieldId::content_type, FieldId::content_encoding, FieldId::etag,
                               FieldId::last_modified}) {
        head.fields.remove(id);
      }
      if (part.status == 416 && facts.size) {
        head.fields.set(FieldId::content_range, content_range_unsatisfiable(*facts.size));
      }
      head.content_length = 0;
      return head;
    case 206:
      if (!part.whole) {
        head.fields.set(FieldId::content_range,
                        content_range(part.offset, part.length, *facts.size));
        head.content_length = part.length;
        return head;
      }
      break;
    default:
      break;
  }
  head.content_length = facts.size;
  return head;
}

}  // namespace bw::edge
