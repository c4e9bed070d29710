// Request targets and authorities: what a request line, :path, :authority and Host may say.
//
// Pure. See: RFC 9112 section 3.2, RFC 3986 section 3.2.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bw::http {

// host[:port] in lower case; nullopt unless host is a name of letters, digits, '-', '.', '_', '~'
// (at most 255), or an IP literal, and port at most 65535. An empty port is dropped.
std::optional<std::string> parse_authority(std::string_view text);
// The same into a string that keeps its memory; false: as it was.
bool read_authority(std::string_view text, std::string& authority);
// '/' and then visible ASCII without '#', '"', '<' and '>'.
bool is_origin_form(std::string_view text);

struct RequestTarget {
  std::string_view scheme;               // of an absolute form; else empty
  std::optional<std::string> authority;  // of an absolute or authority form
  std::string target;                    // origin-form or "*"; empty for CONNECT
};
// Any of the four forms, as `method` allows it; nullopt: not one.
std::optional<RequestTarget> parse_request_target(std::string_view method, std::string_view text);

}  // namespace bw::http
