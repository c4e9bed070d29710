// Conditional requests: what to answer a client's conditions, and what to ask an origin with.
//
// Pure. See: RFC 9110 sections 8.8 and 13; RFC 9111 section 4.3.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/message.h"

namespace bw::edge {

struct Validators {
  std::string etag;  // as sent, with W/ and quotes; empty: none
  std::optional<int64_t> last_modified_s;
  std::optional<int64_t> date_s;

  bool any() const { return !etag.empty() || last_modified_s.has_value(); }
  bool strong() const { return !etag.empty() && etag[0] == '"'; }
  friend bool operator==(const Validators&, const Validators&) = default;
};
// An ETag that isn't well formed and a date that isn't one are none.
Validators validators_of(const http::FieldList& response);

enum class Condition : uint8_t { holds, not_modified, failed };
// RFC 9110 13.2.2 in its order. `exists`: there is a current representation (a 2xx response).
Condition evaluate_conditions(const http::RequestHead& request, const Validators& validators,
                              bool exists = true);
// Whether Range may be honoured: no If-Range, or one that matches strongly (13.1.5).
bool if_range_holds(const http::RequestHead& request, const Validators& validators);

// Whether an If-None-Match or If-Match field names this tag. weak: the weak comparison.
bool etag_list_matches(std::string_view field, std::string_view etag, bool weak);
bool is_conditional(const http::RequestHead& request);

// Sets If-None-Match and If-Modified-Since of a stored response on a request to the origin, and
// removes the client's own conditions and Range.
void set_conditions(http::FieldList& request, const Validators& stored);
// Whether a 304 selects this stored response (RFC 9111 4.3.4).
bool not_modified_selects(const http::FieldList& not_modified, const Validators& stored);
// Updates stored fields from a 304 or HEAD (RFC 9111 3.2): all but those that describe the body.
void freshen_fields(http::FieldList& stored, const http::FieldList& update);

}  // namespace bw::edge
