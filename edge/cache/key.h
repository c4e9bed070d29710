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

// What purges of a key's URL, of that with any query, and of its host are found by.
struct PurgeHashes {
  Hash128 url;
  Hash128 url_any_query;
  Hash128 host;
};

struct CacheKey {
  std::string text;  // canonical bytes
  Hash128 hash;      // the store key: XXH3-128 of text with the deployment's seed
  uint32_t site = 0;

  // Parts of the text. host: normalised, empty with KeyRules::host = false. target: path and the
  // query that is keyed, which is what is forwarded.
  std::string_view host() const { return part(host_at, host_size); }
  std::string_view path() const { return part(target_at, path_size); }
  std::string_view target() const { return part(target_at, target_size); }
  // A hit has no use for these: they are made when they are asked for, once at most of a key that
  // keeps them (a stored object's).
  PurgeHashes purge_hashes() const;
  void keep_purge_hashes() { kept = purge_hashes(); }
  PurgeKeys purge_keys(std::span<const uint64_t> tags = {}) const;

  // Finds the parts in a text that make_key() wrote; false: it isn't one.
  bool find_parts();

  std::string_view part(uint32_t at, uint32_t size) const {
    return std::string_view(text).substr(at, size);
  }
  uint32_t host_at = 0, host_size = 0;
  uint32_t target_at = 0, target_size = 0, path_size = 0;
  std::optional<PurgeHashes> kept;
};

// GET and HEAD share a key; other methods get one too (for invalidation), and never store.
CacheKey make_key(const SitePolicy& policy, const http::RequestHead& request);
// The same into a key whose memory is used again.
void make_key(const SitePolicy& policy, const http::RequestHead& request, CacheKey& key);
// SitePolicy::key_prefix, once name and key are set.
std::string make_key_prefix(const SitePolicy& policy);

// Escapes of unreserved characters decoded, the others' hex in upper case, dot segments removed.
// Empty segments stay. ignore_case: lower case.
std::string normalise_path(std::string_view path, bool ignore_case = false);
// The query as the rules keep it; without '?'. nullopt: none is left.
std::optional<std::string> normalise_query(const KeyRules& rules,
                                           std::optional<std::string_view> query);
// The host of host[:port], without a trailing dot, in whatever case it came.
std::string_view host_of(std::string_view authority);
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
