// Sites as the proxy sees them: compiled from settings, immutable, found by host, matched by rules.
//
// Threads: built once, shared by every loop through its own shared_ptr<const SiteTable>. Pure
// functions beside. node/sites.cc compiles settings into these. Bounds: those of the settings.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/http/client.h"
#include "core/http/message.h"
#include "edge/guard/access.h"
#include "edge/guard/client_facts.h"
#include "edge/guard/limits.h"

namespace bw::edge {

struct SitePolicy;  // edge/cache/cache_policy.h

// [site.headers]: removals first, then sets.
struct HeaderEdits {
  std::vector<std::pair<std::string, std::string>> request_set;
  std::vector<std::string> request_remove;  // lower case
  std::vector<std::pair<std::string, std::string>> response_set;
  std::vector<std::string> response_remove;

  void edit_request(http::FieldList& fields) const;
  void edit_response(http::FieldList& fields) const;
};

// What a rule says instead of fetching.
struct RouteAction {
  enum class Kind : uint8_t { none, pass, deny, redirect, respond };
  Kind kind = Kind::none;
  int status = 0;            // of redirect and respond
  std::string location;      // of redirect
  std::string body;          // of respond, read when the settings were
  std::string content_type;  // of respond
};

// How a request of this route goes to its origin group ([site.upstream], per request).
struct UpstreamUse {
  enum class Host : uint8_t { client, origin, literal };
  std::string group = "default";  // of the site; see Site::groups
  Host host = Host::client;
  std::string host_literal;
  std::string sni;                         // empty: follows host
  std::optional<std::string> fixed_proto;  // key.scheme = false: what X-Forwarded-Proto says
  bool forwarded = true;
  bool geo_headers = false;
  uint32_t retries = 1;
  uint32_t queue = 1000;  // fetches that may wait for the budget
  Duration queue_timeout = std::chrono::seconds(2);
  http::ClientDeadlines deadlines;
};

struct Route {
  std::string rule;  // "" the site itself, else "rule 3"
  std::shared_ptr<const SitePolicy> policy;
  HeaderEdits headers;
  RouteAction action;
  UpstreamUse upstream;
};

// The conditions of a rule; all given ones must hold.
struct RouteMatch {
  std::vector<std::string> paths;                            // patterns, see guard/pattern.h
  std::vector<std::string> methods;                          // as sent
  std::vector<std::string> countries;                        // upper case
  std::vector<std::pair<std::string, std::string>> headers;  // name, value or "*"
};

struct Site {
  uint32_t id = 0;
  std::string name;
  std::vector<std::string> hosts;
  uint64_t max_body_size = 0;
  bool expose_tags = false;
  bool redirect_https = false;
  bool invalidates = true;  // unsafe methods invalidate locally
  AccessRules access;
  std::vector<std::shared_ptr<const LimitRule>> limits;
  std::vector<std::pair<RouteMatch, Route>> rules;
  Route route;  // when no rule matches

  // The first rule whose conditions hold, else the site's own route.
  const Route& match(const http::RequestHead& request, const ClientFacts& client) const;
};

class SiteTable {
 public:
  explicit SiteTable(std::vector<std::shared_ptr<const Site>> sites);
  // By host of `authority` (port ignored): exact, then the longest wildcard, then "*"; nullptr:
  // 421.
  const Site* find(std::string_view authority) const;
  const Site* find_by_name(std::string_view name) const;
  const std::vector<std::shared_ptr<const Site>>& sites() const { return sites_; }

 private:
  std::vector<std::shared_ptr<const Site>> sites_;
  struct HostHasher {
    using is_transparent = void;
    size_t operator()(std::string_view host) const { return std::hash<std::string_view>()(host); }
  };
  using ByHost = std::unordered_map<std::string, const Site*, HostHasher, std::equal_to<>>;
  ByHost exact_;
  ByHost wildcard_;  // by what follows "*"
  const Site* any_ = nullptr;
};

bool matches(const RouteMatch& match, const http::RequestHead& request, const ClientFacts& client);

}  // namespace bw::edge
