// Vary: which of a key's stored responses a request selects.
//
// Pure. A variant's key is the hash of the primary key, the names that the last response gave, and
// the request's normalised values of them. See: RFC 9111 section 4.1.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/http/message.h"

namespace bw::edge {

struct VarySet {
  bool star = false;
  std::vector<std::string> names;  // lower case, sorted, once each
};
// Vary of a response; a member that is no field name counts as '*'.
VarySet parse_vary(const http::FieldList& response);

// "br, gzip", "br", "gzip" or "identity": the best that the field accepts and that we let origins
// see.
std::string_view normalise_accept_encoding(std::string_view value);

// `request` as it is forwarded (cookies stripped, Accept-Encoding in any form). names empty: the
// primary key itself.
Hash128 variant_key(const Hash128& primary, std::span<const std::string> names,
                    const http::RequestHead& request);

}  // namespace bw::edge
