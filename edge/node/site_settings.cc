#include "edge/node/site_settings.h"

#include <algorithm>
#include <set>

#include "core/base/check.h"
#include "edge/node/setting_rules.h"

namespace bw::edge {

void OriginSettings::declare(SettingGroup& g) {
  g.text("address", &address, "the origin's URL; a name means every address it has")
      .need()
      .rule(server_url_rule);
  g.integer("weight", &weight, "its share under balance = \"weighted\"").between("1", "1000");
  g.integer("priority", &priority, "lower ones are used first").between("0", "100");
  g.flag("drain", &drain, "true: gets no new requests");
  g.text("group", &group, "the group it belongs to").rule(site_name_rule);
}

void UpstreamSettings::declare(SettingGroup& g) {
  g.text("group", &group, "the group of origins this is about").rule(site_name_rule);
  g.text("host", &host, "the Host that is sent: client (unchanged), origin, or a literal name")
      .rule(upstream_host_rule);
  g.text("sni", &sni, "the TLS name that is sent and verified; empty: follows host");
  g.flag("verify", &verify, "whether the origin's certificate is verified");
  g.path("ca", &ca, "PEM file of trusted authorities, or \"system\"");
  g.path("client_cert", &client_cert, "PEM file shown to the origin");
  g.path("client_key", &client_key, "its key");
  g.word("protocol", &protocol, {"http/1.1", "h2", "auto"}, "spoken to the origin");
  g.flag("forwarded", &forwarded, "whether Forwarded and X-Forwarded-* are sent");
  g.flag("geo_headers", &geo_headers, "whether CDN-Client-Country and CDN-Client-ASN are sent");
  g.word("balance", &balance, {"round_robin", "least_requests", "hash", "weighted"},
         "how the next member is chosen");
  g.text("hash", &hash, "what balance = \"hash\" hashes").choice({"key"});
  g.integer("max_connections", &max_connections, "per member and worker").between("1", "65535");
  g.duration("connect_timeout", &connect_timeout, "to connect, with TLS").between("1ms", "1h");
  g.duration("first_byte_timeout", &first_byte_timeout, "until the response's head")
      .between("1ms", "1h");
  g.duration("between_bytes_timeout", &between_bytes_timeout,
             "between bytes of the response, while we want to read")
      .between("1ms", "1h");
  g.duration("total_timeout", &total_timeout, "for a whole fetch; 0: off")
      .between("1ms", "7d")
      .or_off();
  g.integer("retries", &retries, "more attempts of a safe request").between("0", "10");
  g.number("retry_budget", &retry_budget, "retries as a share of requests").between("0", "1");
  g.integer("eject_after", &eject_after, "failures in a row put a member out; 0: never")
      .between("0", "1000");
  g.duration("eject_time", &eject_time, "how long it is out, doubling to 5m")
      .between("100ms", "5m");
  g.number("eject_max_share", &eject_max_share, "the share of members that may be out")
      .between("0", "1");
  g.integer("concurrency", &concurrency, "fetches in flight; 0: concurrency_max")
      .between("0", "1000000");
  g.integer("concurrency_max", &concurrency_max, "fetches in flight when concurrency is 0")
      .between("1", "1000000");
  g.integer("queue", &queue, "fetches that may wait for one to end").between("0", "1000000");
  g.duration("queue_timeout", &queue_timeout, "how long one waits").between("1ms", "1h");
}

bool UpstreamSettings::same_group(const UpstreamSettings& other) const {
  return group == other.group && verify == other.verify && ca == other.ca && sni == other.sni &&
         client_cert == other.client_cert && client_key == other.client_key &&
         protocol == other.protocol && balance == other.balance && hash == other.hash &&
         max_connections == other.max_connections && retry_budget == other.retry_budget &&
         eject_after == other.eject_after && eject_time == other.eject_time &&
         eject_max_share == other.eject_max_share && concurrency == other.concurrency &&
         concurrency_max == other.concurrency_max;
}

void CacheSettings::declare(SettingGroup& g) {
  g.duration("default_ttl", &default_ttl,
             "lifetime of 200, 203, 204, 206, 300, 301 and 308 without one of their own")
      .between("0s", "3650d");
  g.durations("status_ttl", &status_ttl, "lifetime by status, as { 404 = \"10s\" }")
      .between("0s", "3650d")
      .rule(status_rule);
  g.duration("max_ttl", &max_ttl, "no lifetime is longer").between("0s", "3650d");
  g.flag("heuristic", &heuristic, "whether Last-Modified gives a lifetime (RFC 9111 4.2.2)");
  g.duration("stale_while_revalidate", &stale_while_revalidate, "where the response names none")
      .between("0s", "3650d");
  g.duration("stale_if_error", &stale_if_error, "where the response names none")
      .between("0s", "3650d");
  g.flag("ignore_request_directives", &ignore_request_directives,
         "whether a client's Cache-Control is ignored");
  g.word("cache_set_cookie", &cache_set_cookie, {"no", "strip", "keep"},
         "responses with Set-Cookie: not stored, stored without it, stored with it");
  g.integer("max_variants", &max_variants, "variants (Vary) a key may have").between("1", "4096");
  g.integer("tags_max", &tags_max, "tags an object may have").between("0", "65536");
  g.size("max_object_size", &max_object_size, "larger ones are not stored").between("1KiB", "1TiB");
  g.list("strip_cookies", &strip_cookies, "cookies neither forwarded nor keyed")
      .rule(field_name_rule);
  g.word("age", &age, {"send", "reset"}, "Age to clients; reset only where a targeted field ruled");
}

void CacheSettings::apply(Profile profile) {
  switch (profile) {
    case Profile::api:
      break;
    case Profile::static_files:
    case Profile::large:
      stale_if_error = std::chrono::hours(24);
      break;
    case Profile::private_site:
      stores = false;
      break;
    case Profile::conformance:
      ignore_request_directives = false;
      stale_beats_s_maxage = false;
      cache_set_cookie = SetCookiePolicy::keep;
      heuristic = true;
      break;
  }
}

void KeySettings::declare(SettingGroup& g) {
  g.flag("scheme", &rules.scheme, "whether http and https are kept apart");
  g.flag("host", &rules.host, "whether hosts are kept apart; false needs a literal upstream.host");
  g.word("query", &rules.query, {"keep", "sort", "none"}, "what of the query counts");
  g.list("query_only", &rules.query_only, "only these parameters; names may end in *")
      .rule(not_empty_rule);
  g.list("query_except", &rules.query_except, "all but these parameters; names may end in *")
      .rule(not_empty_rule);
  g.list("headers", &rules.headers, "fields that count").rule(field_name_rule);
  g.list("cookies", &rules.cookies, "cookies that count").rule(field_name_rule);
  g.flag("ignore_case", &rules.ignore_case, "whether the path's case doesn't count");
  g.check([this](const SettingGroup::Fault& fault) {
    if (!rules.query_only.empty() && !rules.query_except.empty()) {
      fault("query_except", "query_only too", "one of the two");
    }
  });
}

void HeaderSettings::declare(SettingGroup& g) {
  g.map("request_set", &request_set, "fields set on requests to the origin").rule(field_name_rule);
  g.list("request_remove", &request_remove, "fields removed from them").rule(field_name_rule);
  g.map("response_set", &response_set, "fields set on responses to clients").rule(field_name_rule);
  g.list("response_remove", &response_remove, "fields removed from them").rule(field_name_rule);
  g.check([this](const SettingGroup::Fault& fault) {
    for (const auto* edits : {&request_set, &response_set}) {
      for (const auto& [name, value] : *edits) {
        const std::string allowed = field_value_rule(value);
        if (!allowed.empty()) {
          fault(edits == &request_set ? "request_set" : "response_set", name, allowed);
        }
      }
    }
  });
}

void RuleSettings::declare(SettingGroup& g) {
  g.place(&file, &line);
  g.list_or_text("path", &paths, "a path pattern, '*' for any bytes").rule(path_pattern_rule);
  g.list("paths", &more_paths, "several of them").rule(path_pattern_rule);
  g.list_or_text("methods", &methods, "methods").rule(method_rule);
  g.list_or_text("country", &countries, "the client's country").rule(country_rule);
  g.map("header", &headers, "fields of the request: a value, or \"*\" for any")
      .rule(condition_rule);
  g.text("group", &group, "the group of origins asked; empty: default");
  g.text("action", &action,
         "\"\", pass, deny, redirect:STATUS:URL or respond:STATUS:FILE instead of fetching")
      .rule(action_rule);
  g.then([this] {
    paths.insert(paths.end(), more_paths.begin(), more_paths.end());
    upstream.group = group.empty() ? "default" : group;
    for (const UpstreamSettings& one : groups) {
      if (one.group == upstream.group) upstream = one;
    }
  });
  g.table("cache", &cache, "overrides of [site.cache] where the rule holds");
  g.table("key", &key, "overrides of [site.key]");
  g.table("headers", &edits, "overrides of [site.headers]");
  g.table("upstream", &upstream, "overrides of [site.upstream]");
}

void LimitSettings::declare(SettingGroup& g) {
  g.text("name", &name, "shown in RateLimit fields and metrics").need().rule(site_name_rule);
  g.list_or_text("key", &key,
                 "who shares a bucket: client, header:NAME, cookie:NAME, path, country, asn, or a "
                 "list that combines; a request lacking it isn't limited")
      .rule(limit_key_rule);
  g.list_or_text("paths", &paths, "path patterns it concerns; none: all").rule(path_pattern_rule);
  std::string* algorithm = g.keep<std::string>();
  *algorithm = "token_bucket";
  g.text("algorithm", algorithm, "how it is counted").choice({"token_bucket"});
  g.rate("rate", &rate, "what a bucket regains").need();
  g.integer("burst", &burst, "the bucket's size; 0: the rate's count")
      .between("0", "1000000000000");
  g.word("counts", &counts, {"requests", "misses", "bytes"},
         "what is counted; bytes are charged at a response's end");
  g.word("mode", &mode, {"enforce", "shadow"}, "shadow decides and counts, and never refuses");
  std::string* action = g.keep<std::string>();
  *action = "reject";
  g.text("action", action, "what happens beyond it").choice({"reject"});
  g.list("allow", &allow, "clients that are never limited").rule(client_set_rule);
}

void AccessSettings::declare(SettingGroup& g) {
  g.list("allow", &allow, "networks, country:XX, asn:N; only these come in").rule(client_set_rule);
  g.list("deny", &deny, "networks, country:XX, asn:N; these get 403, even when allowed")
      .rule(client_set_rule);
}

void SiteSettings::declare(SettingGroup& g) {
  g.place(&file, &line);
  g.text("name", &name, "also its name at the purge service").need().rule(site_name_rule);
  g.list("hosts", &hosts, "exact, \"*.suffix\" or \"*\"; an unknown host gets 421")
      .need()
      .rule(host_pattern_rule);
  g.word("profile", &profile, {"api", "static", "large", "private", "conformance"},
         "one safe set of defaults");
  g.list("origins", &origins, "URLs of origins, short for [[site.origin]]").rule(server_url_rule);
  g.word("on_lag", &on_lag, {"revalidate", "serve", "fail"},
         "hits while purges lag more than control.lag_limit");
  g.size("max_body_size", &max_body_size, "of a request; 0: that of [clients]")
      .between("1KiB", "1TiB")
      .or_off();
  g.list("target_header", &target_header, "RFC 9213 fields in order; the first parsable rules")
      .rule(field_name_rule);
  g.flag("expose_tags", &expose_tags, "whether clients see Cache-Tag and Surrogate-Key");
  g.flag("redirect_https", &redirect_https, "whether http is redirected to https");
  g.then([this] { cache.apply(profile); });
  g.tables("origin", &origin, "the long form of origins");
  g.one_or_many("upstream", &upstream, "how a group of origins is used");
  g.then([this] { complete(); });
  g.table("cache", &cache, "what is stored, and how long");
  g.table("key", &key, "what makes two requests the same");
  g.table("headers", &headers, "edits of fields");
  g.tables<RuleSettings>("rule", &rules, "first match wins; all given conditions must hold",
                         [this] {
                           RuleSettings rule;
                           rule.cache = cache;
                           rule.key = key;
                           rule.edits = headers;
                           rule.groups = upstream;
                           return rule;
                         });
  g.tables("limit", &limits, "a limit and who it counts");
  g.table("access", &access, "who may come in");
  g.check([this](const SettingGroup::Fault& fault) { check(fault); });
}

void SiteSettings::complete() {
  for (const std::string& address : origins) {
    OriginSettings one;
    one.address = address;
    origin.push_back(std::move(one));
  }
  std::set<std::string> groups = {"default"};
  for (const OriginSettings& one : origin) groups.insert(one.group);
  for (const UpstreamSettings& one : upstream) groups.erase(one.group);
  for (const std::string& group : groups) {
    upstream.emplace_back();
    upstream.back().group = group;
  }
}

const UpstreamSettings& SiteSettings::upstream_of(const std::string& group) const {
  for (const UpstreamSettings& one : upstream) {
    if (one.group == group) return one;
  }
  BW_CHECK(!upstream.empty());
  return upstream.front();
}

void SiteSettings::check(const SettingGroup::Fault& fault) const {
  const auto literal = [](const UpstreamSettings& one) {
    return one.host != "client" && one.host != "origin";
  };
  std::set<std::string> seen;
  for (const UpstreamSettings& one : upstream) {
    if (!seen.insert(one.group).second) fault("upstream.group", one.group, "each group once");
    if (!key.rules.host && !literal(one)) {
      fault("key.host", "false with upstream.host = \"" + one.host + '"',
            "a literal upstream.host when hosts share a key");
    }
    if (one.client_cert.empty() != one.client_key.empty()) {
      fault("upstream.client_cert", "one without the other", "client_cert and client_key");
    }
  }
  for (size_t i = 0; i < rules.size(); ++i) {
    const RuleSettings& rule = rules[i];
    const std::string which = "rule " + std::to_string(i + 1);
    if (!rule.group.empty() &&
        std::none_of(origin.begin(), origin.end(),
                     [&](const OriginSettings& one) { return one.group == rule.group; })) {
      fault("rule.group", '"' + rule.group + "\" in " + which, "a group that an origin names");
    }
    if (rule.upstream.group != (rule.group.empty() ? "default" : rule.group)) {
      fault("rule.upstream.group", rule.upstream.group, "the rule's own `group` instead");
    }
    if (!rule.key.rules.host && !literal(rule.upstream)) {
      fault("rule.key.host", "false in " + which, "a literal upstream.host when hosts share a key");
    }
  }
  seen.clear();
  for (const LimitSettings& limit : limits) {
    if (!seen.insert(limit.name).second) fault("limit.name", limit.name, "each name once");
    if (limit.rate.count == 0) fault("limit.rate", format_rate(limit.rate), "more than 0");
    if (limit.key.empty()) fault("limit.key", "an empty list", "at least one part");
  }
  if (hosts.empty()) fault("hosts", "an empty list", "at least one host");
}

}  // namespace bw::edge
