#include "edge/node/sites.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "edge/cache/key.h"

namespace bw::edge {
namespace {

constexpr size_t kMaxFile = 1 << 20;

std::chrono::seconds seconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration);
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return text;
}

std::vector<std::string> lower(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts) out.push_back(lower(text));
  return out;
}

std::string read_named(const std::string& path, const std::string& key, Diagnostics& diagnostics) {
  Result<std::string> text = read_file(path, kMaxFile);
  if (text.ok()) return *std::move(text);
  diagnostics.error(
      key + ": " + path + ": " +
      (text.error().kind == Error::Kind::too_large ? "larger than 1MiB" : describe(text.error())));
  return {};
}

std::string_view content_type_of(std::string_view path) {
  if (path.ends_with(".html")) return "text/html; charset=utf-8";
  if (path.ends_with(".json")) return "application/json";
  if (path.ends_with(".txt")) return "text/plain; charset=utf-8";
  return "application/octet-stream";
}

HeaderEdits compile(const HeaderSettings& settings) {
  HeaderEdits edits;
  for (const auto& [name, value] : settings.request_set) {
    edits.request_set.emplace_back(lower(name), value);
  }
  for (const auto& [name, value] : settings.response_set) {
    edits.response_set.emplace_back(lower(name), value);
  }
  edits.request_remove = lower(settings.request_remove);
  edits.response_remove = lower(settings.response_remove);
  return edits;
}

UpstreamUse compile(const UpstreamSettings& settings, const KeyRules& key) {
  UpstreamUse use;
  use.group = settings.group;
  if (settings.host == "client") {
    use.host = UpstreamUse::Host::client;
  } else if (settings.host == "origin") {
    use.host = UpstreamUse::Host::origin;
  } else {
    use.host = UpstreamUse::Host::literal;
    use.host_literal = lower(settings.host);
  }
  use.sni = settings.sni;
  if (!key.scheme) use.fixed_proto = "https";
  use.forwarded = settings.forwarded;
  use.geo_headers = settings.geo_headers;
  use.retries = settings.retries;
  use.deadlines = {settings.connect_timeout, settings.first_byte_timeout,
                   settings.between_bytes_timeout, settings.total_timeout};
  use.queue = settings.queue;
  use.queue_timeout = settings.queue_timeout;
  return use;
}

LimitRule compile(const LimitSettings& settings, const std::string& site) {
  LimitRule rule;
  rule.site = site;
  rule.name = settings.name;
  for (const std::string& part : settings.key) rule.key.push_back(*LimitKeyPart::parse(part));
  rule.paths = settings.paths;
  rule.rate = settings.rate;
  rule.burst = settings.burst > 0 ? settings.burst : settings.rate.count;
  rule.counts = settings.counts;
  rule.shadow = settings.mode == LimitSettings::Mode::shadow;
  for (const std::string& entry : settings.allow) BW_CHECK(rule.allow.add(entry).ok());
  rule.prepare();
  return rule;
}

// One site under way: what its routes share.
struct SiteCompiler {
  const EdgeSettings& all;
  const SiteSettings& settings;
  uint32_t id;
  uint64_t key_seed;
  Diagnostics& diagnostics;

  std::shared_ptr<const SitePolicy> policy(const CacheSettings& cache, const KeySettings& key,
                                           bool pass) const {
    auto policy = std::make_shared<SitePolicy>();
    policy->site = id;
    policy->name = settings.name;
    policy->key_seed = key_seed;
    policy->key = key.rules;
    policy->key.headers = lower(key.rules.headers);
    policy->key_prefix = make_key_prefix(*policy);
    policy->stores = cache.stores && !pass;
    policy->default_ttl = seconds(cache.default_ttl);
    for (const auto& [status, ttl] : cache.status_ttl) {
      policy->status_ttl[std::stoi(status)] = seconds(ttl);
    }
    policy->max_ttl = seconds(cache.max_ttl);
    policy->heuristic = cache.heuristic;
    policy->stale_while_revalidate = seconds(cache.stale_while_revalidate);
    policy->stale_if_error = seconds(cache.stale_if_error);
    policy->ignore_request_directives = cache.ignore_request_directives;
    policy->stale_beats_s_maxage = cache.stale_beats_s_maxage;
    policy->cache_set_cookie = cache.cache_set_cookie;
    policy->max_variants = cache.max_variants;
    policy->tags_max = cache.tags_max;
    policy->max_object_size = cache.max_object_size;
    policy->strip_cookies = cache.strip_cookies;
    policy->age = cache.age;
    policy->target_headers = lower(settings.target_header);
    policy->on_lag = settings.on_lag;
    if (all.control) policy->lag_limit = all.control->lag_limit;
    return policy;
  }

  RouteAction action(const RuleSettings& rule) const {
    RouteAction action;
    const std::string& text = rule.action;
    if (text.empty()) return action;
    if (text == "pass") action.kind = RouteAction::Kind::pass;
    if (text == "deny") action.kind = RouteAction::Kind::deny;
    const size_t colon = text.find(':');
    if (colon == std::string::npos) return action;
    action.status = std::stoi(text.substr(colon + 1, 3));
    const std::string rest = text.substr(colon + 5);
    if (text.starts_with("redirect")) {
      action.kind = RouteAction::Kind::redirect;
      action.location = rest;
      return action;
    }
    action.kind = RouteAction::Kind::respond;
    const size_t slash = rule.file.rfind('/');
    const std::string path = rest.starts_with('/') || slash == std::string::npos
                                 ? rest
                                 : rule.file.substr(0, slash + 1) + rest;
    action.body = read_named(
        path, rule.file + ':' + std::to_string(rule.line) + ": site.rule.action", diagnostics);
    action.content_type = content_type_of(path);
    return action;
  }
};

std::shared_ptr<const Site> compile_site(const SiteCompiler& compiler,
                                         std::vector<UpstreamPlan>& plans) {
  const SiteSettings& settings = compiler.settings;
  auto site = std::make_shared<Site>();
  site->id = compiler.id;
  site->name = settings.name;
  site->hosts = settings.hosts;
  site->max_body_size =
      settings.max_body_size > 0 ? settings.max_body_size : compiler.all.clients.max_body_size;
  site->expose_tags = settings.expose_tags;
  site->redirect_https = settings.redirect_https;
  site->invalidates = settings.profile != Profile::private_site;
  for (const std::string& entry : settings.access.allow)
    BW_CHECK(site->access.allow.add(entry).ok());
  for (const std::string& entry : settings.access.deny) BW_CHECK(site->access.deny.add(entry).ok());
  for (const LimitSettings& limit : settings.limits) {
    site->limits.push_back(std::make_shared<const LimitRule>(compile(limit, settings.name)));
  }
  const auto plan = [&](const std::string& group, const UpstreamSettings& upstream) {
    UpstreamPlan made{settings.name, group, upstream, {}};
    for (const OriginSettings& origin : settings.origin) {
      if (origin.group == upstream.group) made.origins.push_back(origin);
    }
    plans.push_back(std::move(made));
  };
  for (const UpstreamSettings& upstream : settings.upstream) plan(upstream.group, upstream);

  site->route.policy = compiler.policy(settings.cache, settings.key, false);
  site->route.headers = compile(settings.headers);
  site->route.upstream = compile(settings.upstream_of("default"), settings.key.rules);
  for (size_t i = 0; i < settings.rules.size(); ++i) {
    const RuleSettings& rule = settings.rules[i];
    RouteMatch match{rule.paths, rule.methods, rule.countries, {}};
    for (const auto& [name, value] : rule.headers) match.headers.emplace_back(lower(name), value);
    Route route;
    route.rule = "rule " + std::to_string(i + 1);
    route.action = compiler.action(rule);
    route.policy =
        compiler.policy(rule.cache, rule.key, route.action.kind == RouteAction::Kind::pass);
    route.headers = compile(rule.edits);
    route.upstream = compile(rule.upstream, rule.key.rules);
    if (!rule.upstream.same_group(settings.upstream_of(rule.upstream.group))) {
      route.upstream.group += '#' + std::to_string(i + 1);
      plan(route.upstream.group, rule.upstream);
    }
    site->rules.emplace_back(std::move(match), std::move(route));
  }
  return site;
}

}  // namespace

uint32_t SiteIds::id_of(const std::string& name) {
  const auto known = ids_.find(name);
  if (known != ids_.end()) return known->second;
  if (ids_.size() + 1 >= kMaxServedSites) return 0;
  return ids_.emplace(name, static_cast<uint32_t>(ids_.size() + 1)).first->second;
}

CompiledSites compile_sites(const EdgeSettings& settings, SiteIds& ids, Diagnostics& diagnostics) {
  CompiledSites compiled;
  std::string seed;
  if (!settings.node.key_seed.empty()) {
    seed = read_named(settings.node.key_seed, "node.key_seed", diagnostics);
  }
  std::vector<std::shared_ptr<const Site>> sites;
  for (const SiteSettings& site : settings.sites) {
    const uint32_t id = ids.id_of(site.name);
    if (id == 0) {
      diagnostics.error("site " + site.name +
                        ": this process has had too many names of sites; restart it");
      continue;
    }
    const SiteCompiler compiler{settings, site, id, xxh3_64(seed + site.name), diagnostics};
    sites.push_back(compile_site(compiler, compiled.upstreams));
  }
  compiled.table = std::make_shared<const SiteTable>(std::move(sites));
  return compiled;
}

ClientAddressRule compile_client_address(const ClientSettings& settings) {
  ClientAddressRule rule;
  for (const std::string& text : settings.trusted_proxies) {
    const Result<net::Network> network = net::Network::parse(text);
    if (network.ok()) rule.trusted.push_back(*network);
  }
  rule.field = client_address_field(settings.client_address).value_or("x-forwarded-for");
  return rule;
}

}  // namespace bw::edge
