// Directives of Cache-Control and of targeted fields, parsed once into numbers and flags.
//
// Bounds: the parser's on the field. Errors: none; an unreadable directive is ignored, an
// unreadable number of seconds counts as 0 (stale), an overflowing one as 2^31. Of duplicates the
// smallest number counts. See: RFC 9111 section 5.2, RFC 9213 section 2.1.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/http/field_list.h"

namespace bw::edge {

struct CacheDirectives {
  std::optional<int64_t> max_age;
  std::optional<int64_t> s_maxage;
  std::optional<int64_t> stale_while_revalidate;
  std::optional<int64_t> stale_if_error;
  std::optional<int64_t> min_fresh;  // requests
  std::optional<int64_t> max_stale;  // requests; without a value: 2^31
  bool no_store = false;
  bool no_cache = false;    // qualified forms count as unqualified
  bool is_private = false;  // likewise
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool only_if_cached = false;
  friend bool operator==(const CacheDirectives&, const CacheDirectives&) = default;
};
constexpr int64_t kMaxSeconds = int64_t{1} << 31;

// One list of directives; several field lines joined by ", ".
CacheDirectives parse_cache_control(std::string_view value);
CacheDirectives parse_cache_control(const http::FieldList& fields);
// A targeted field is a structured dictionary; nullopt: it doesn't parse (and is ignored) or is
// empty.
std::optional<CacheDirectives> parse_targeted(std::string_view value);
// delta-seconds (RFC 9111 1.2.2): digits only; overflow gives kMaxSeconds; else nullopt.
std::optional<int64_t> parse_delta_seconds(std::string_view text);

}  // namespace bw::edge
