// The key of a request: which stored response may answer it, and which purges would hit it.
//
// The canonical text is built from site, rules hash, scheme, method class, host, path, query and
// the named fields and cookies; what is keyed is what is forwarded (`target`). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/http/message.h"
#include "edge/cache/cache_policy.h"

namespace bw::edge {

// Where a purge would look for this request or object. Views; see CacheKey and Object.
struct PurgeKeys {
  uint32_t site = 0;
  Hash128 url;            // host, path and query as the rules map them
  Hash128 url_any_query;  // without the query: "https://h/p?*"
  Hash128 host;
  std::string_view host_text;  // empty with host = false
  std::string_view path;
  std::span<const uint64_t> tags;  // hashes; empty for a request
};

struct CacheKey {
  std::string text;  // canonical bytes
  Hash128 hash;      // the store key: XXH3-128 of text with the deployment's seed
  uint32_t site = 0;
  Hash128 url;
  Hash128 url_any_query;
  Hash128 host;
  std::string host_text;
  std::string path;    // normalised
  std::string target;  // path and the query that is keyed: what is forwarded

  PurgeKeys purge_keys(std::span<const uint64_t> tags = {}) const {
    return {site, url, url_any_query, host, host_text, path, tags};
  }
};

// GET and HEAD share a key; other methods get one too (for invalidation), and never store.
CacheKey make_key(const SitePolicy& policy, const http::RequestHead& request);

// Escapes of unreserved characters decoded, the others' hex in upper case, dot segments removed.
// Empty segments stay. ignore_case: lower case.
std::string normalise_path(std::string_view path, bool ignore_case = false);
// The query as the rules keep it; without '?'. nullopt: none is left.
std::optional<std::string> normalise_query(const KeyRules& rules,
                                           std::optional<std::string_view> query);
// Lower case, without port and trailing dot.
std::string normalise_host(std::string_view authority);
// Removes the named cookies from Cookie; an empty Cookie goes. Done before key and forwarding.
void strip_cookies(http::FieldList& fields, std::span<const std::string> names);

// The parts of a purge's clear text, as a node maps them by a site's rules. All site-scoped.
Hash128 url_purge_key(const KeyRules& rules, std::string_view host, std::string_view path,
                      std::optional<std::string_view> query);
Hash128 any_query_purge_key(const KeyRules& rules, std::string_view host, std::string_view path);
Hash128 host_purge_key(std::string_view host);

}  // namespace bw::edge
