// The settings of one [[site]] as a file has them; sites.h compiles them.
//
// Plain values with their defaults; declared in site_settings.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "edge/cache/cache_policy.h"
#include "edge/guard/limits.h"
#include "edge/upstream/balance.h"

namespace bw::edge {

enum class Profile : uint8_t { api, static_files, large, private_site, conformance };

struct OriginSettings {
  std::string address;  // http:// or https://
  uint32_t weight = 1;
  uint32_t priority = 0;
  bool drain = false;
  std::string group = "default";
  void declare(SettingGroup& g);
};

struct UpstreamSettings {
  enum class Protocol : uint8_t { http1, h2, automatic };
  std::string group = "default";
  std::string host = "client";
  std::string sni;
  bool verify = true;
  std::string ca = "system";
  std::string client_cert, client_key;
  Protocol protocol = Protocol::http1;
  bool forwarded = true;
  bool geo_headers = false;
  Balance balance = Balance::least_requests;
  std::string hash = "key";
  uint32_t max_connections = 256;
  Duration connect_timeout = std::chrono::seconds(2);
  Duration first_byte_timeout = std::chrono::seconds(15);
  Duration between_bytes_timeout = std::chrono::seconds(15);
  Duration total_timeout{};
  uint32_t retries = 1;
  double retry_budget = 0.1;
  uint32_t eject_after = 5;
  Duration eject_time = std::chrono::seconds(10);
  double eject_max_share = 0.5;
  uint32_t concurrency = 0;  // 0: concurrency_max
  uint32_t concurrency_max = 1024;
  uint32_t queue = 1000;
  Duration queue_timeout = std::chrono::seconds(2);
  void declare(SettingGroup& g);
  // Whether requests of both may share one group of members.
  bool same_group(const UpstreamSettings& other) const;
};

struct CacheSettings {
  bool stores = true;  // of the profile
  bool stale_beats_s_maxage = true;
  Duration default_ttl{};
  std::map<std::string, Duration> status_ttl;
  Duration max_ttl = std::chrono::hours(24 * 365);
  bool heuristic = false;
  Duration stale_while_revalidate{};
  Duration stale_if_error{};
  bool ignore_request_directives = true;
  SetCookiePolicy cache_set_cookie = SetCookiePolicy::no;
  uint32_t max_variants = 64;
  uint32_t tags_max = 1024;
  uint64_t max_object_size = 8ull << 30;
  std::vector<std::string> strip_cookies;
  AgePolicy age = AgePolicy::send;
  void declare(SettingGroup& g);
  void apply(Profile profile);
};

struct KeySettings {
  KeyRules rules;
  void declare(SettingGroup& g);
};

struct HeaderSettings {
  std::map<std::string, std::string> request_set;
  std::vector<std::string> request_remove;
  std::map<std::string, std::string> response_set;
  std::vector<std::string> response_remove;
  void declare(SettingGroup& g);
};

struct RuleSettings {
  std::vector<std::string> paths;
  std::vector<std::string> more_paths;  // of `paths`, beside `path`
  std::vector<std::string> methods;
  std::vector<std::string> countries;
  std::map<std::string, std::string> headers;
  CacheSettings cache;
  KeySettings key;
  HeaderSettings edits;
  UpstreamSettings upstream;             // of the rule's group, with the rule's overrides
  std::vector<UpstreamSettings> groups;  // of the site
  std::string group;
  std::string action;
  std::string file;  // where the rule stands: a respond file is found from there
  uint32_t line = 0;
  void declare(SettingGroup& g);
};

struct LimitSettings {
  std::string name;
  std::vector<std::string> key = {"client"};
  std::vector<std::string> paths;
  Rate rate;
  uint64_t burst = 0;  // 0: the rate's count
  LimitRule::Counts counts = LimitRule::Counts::requests;
  enum class Mode : uint8_t { enforce, shadow };
  Mode mode = Mode::enforce;
  std::vector<std::string> allow;
  void declare(SettingGroup& g);
};

struct AccessSettings {
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  void declare(SettingGroup& g);
};

struct SiteSettings {
  std::string name;
  std::vector<std::string> hosts;
  Profile profile = Profile::api;
  std::vector<std::string> origins;
  std::vector<OriginSettings> origin;  // the long form; read() adds the short ones
  OnLag on_lag = OnLag::revalidate;
  uint64_t max_body_size = 0;  // 0: that of [clients]
  std::vector<std::string> target_header = {"Surrogate-Control", "CDN-Cache-Control"};
  bool expose_tags = false;
  bool redirect_https = false;
  std::vector<UpstreamSettings> upstream;  // one a group; read() adds the defaults
  CacheSettings cache;
  KeySettings key;
  HeaderSettings headers;
  std::vector<RuleSettings> rules;
  std::vector<LimitSettings> limits;
  AccessSettings access;
  std::string file;
  uint32_t line = 0;
  void declare(SettingGroup& g);
  const UpstreamSettings& upstream_of(const std::string& group) const;

 private:
  void complete();
  void check(const SettingGroup::Fault& fault) const;
};

}  // namespace bw::edge
