// Heads of requests and responses, whatever version carried them.
//
// See: RFC 9110 sections 6, 7 and 9. A head is a value: parsers fill it, writers read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/field_list.h"

namespace bw::http {

enum class Version : uint8_t { http10, http11, http2 };
std::string_view to_text(Version version);  // "HTTP/1.1"

struct RequestHead {
  std::string method;     // as sent; methods are case-sensitive
  std::string scheme;     // "http" or "https": of the connection, or :scheme
  std::string authority;  // host[:port] from the target, :authority or Host; lower case
  std::string target;     // origin-form path[?query], or "*"; for CONNECT empty
  std::string protocol;   // RFC 8441 :protocol; else empty
  Version version = Version::http11;
  // Without Host and pseudo-fields, and without the framing of the hop it came by: Content-Length
  // and Transfer-Encoding are told by the two members below, and writers make their own.
  FieldList fields;
  // The length of the body when it was given; nullopt with has_body: not known (chunked, HTTP/2).
  std::optional<uint64_t> content_length;
  bool has_body = false;

  std::string_view path() const;
  // Without the '?'; nullopt when there is no '?'.
  std::optional<std::string_view> query() const;
};

struct ResponseHead {
  int status = 0;
  Version version = Version::http11;
  FieldList fields;  // without Content-Length and Transfer-Encoding
  // From the sender's Content-Length; nullopt: not known before the end.
  std::optional<uint64_t> content_length;
};

// The registered reason phrase, or "".
std::string_view reason_phrase(int status);
// GET, HEAD, OPTIONS, TRACE (RFC 9110 section 9.2.1).
bool is_safe_method(std::string_view method);
// Those and PUT, DELETE (section 9.2.2).
bool is_idempotent_method(std::string_view method);
// Whether a response to `method` with `status` has a body at all (section 6.4.1).
bool response_has_body(std::string_view method, int status);
// Removes hop-by-hop fields and those that Connection names (RFC 9110 section 7.6.1). `TE:
// trailers` goes too: a hop that wants it adds its own.
void remove_hop_by_hop(FieldList& fields);

}  // namespace bw::http
