// What a site's settings say about storing and keys, as plain values that node fills.
//
// Threads: immutable once built; shared by shared_ptr<const SitePolicy>. A rule that overrides
// cache or key settings is a SitePolicy of its own with the same site and name.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/http/field_list.h"

namespace bw::edge {

// Which parts of a request make its key ([site.key]).
struct KeyRules {
  enum class Query : uint8_t { keep, sort, none };
  bool scheme = true;
  bool host = true;
  Query query = Query::keep;
  std::vector<std::string> query_only;    // names; may end in '*'
  std::vector<std::string> query_except;  // names; may end in '*'
  std::vector<std::string> headers;       // lower case
  std::vector<std::string> cookies;
  bool ignore_case = false;
};

enum class SetCookiePolicy : uint8_t { no, strip, keep };
enum class OnLag : uint8_t { revalidate, serve, fail };
enum class AgePolicy : uint8_t { send, reset };

struct SitePolicy {
  uint32_t site = 0;      // small; given by node, stable while the process lives; < kMaxSites
  std::string name;       // the site's name; store keys are made of it
  uint64_t key_seed = 0;  // of the store keys, the same on all nodes of a deployment
  KeyRules key;
  // make_key_prefix(): what all keys of this policy begin with. Empty: made for each key.
  std::string key_prefix;

  bool stores = true;  // false: profile private, or a rule's `pass`
  std::chrono::seconds default_ttl{0};
  std::map<int, std::chrono::seconds> status_ttl;
  std::chrono::seconds max_ttl{std::chrono::hours(24 * 365)};
  bool heuristic = false;
  std::chrono::seconds stale_while_revalidate{0};
  std::chrono::seconds stale_if_error{0};
  bool ignore_request_directives = true;
  bool stale_beats_s_maxage = true;  // explicit stale-* of the same field beats s-maxage
  SetCookiePolicy cache_set_cookie = SetCookiePolicy::no;
  uint32_t max_variants = 64;
  uint32_t tags_max = 1024;
  uint64_t max_object_size = 8ull << 30;
  std::vector<std::string> strip_cookies;  // names
  AgePolicy age = AgePolicy::send;
  // Fields of RFC 9213 that rule here, in order.
  std::vector<std::string> target_headers = {"surrogate-control", "cdn-cache-control"};

  OnLag on_lag = OnLag::revalidate;
  Duration lag_limit = std::chrono::seconds(5);
};

constexpr uint32_t kMaxSites = 16'384;
constexpr uint32_t kMaxServedSites = kMaxSites - 1024;  // the rest: sites that are only in the log

// A number that changes whenever two requests might get another key.
uint64_t rules_hash(const KeyRules& rules);

}  // namespace bw::edge
