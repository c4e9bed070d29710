#include "edge/node/loaded.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "geo/locate/locator.h"

namespace bw::edge {
namespace {

std::shared_ptr<const geo::Locator> open_geography(const GeoSettings& settings,
                                                   Diagnostics& diagnostics) {
  std::string why;
  Result<std::shared_ptr<const geo::Locator>> opened = geo::Locator::open(
      {settings.country, settings.country_key, settings.asn, settings.asn_key}, &why);
  if (!opened.ok()) {
    diagnostics.error("geo: " + why);
    return nullptr;
  }
  if ((*opened)->bytes() > settings.table_size) {
    diagnostics.error("geo: the databases take " + std::to_string((*opened)->bytes()) +
                      " bytes, more than geo.table_size");
    return nullptr;
  }
  return *opened;
}

// nullptr without an error: no listener has TLS.
std::shared_ptr<net::TlsContext> make_tls(const EdgeSettings& settings, Diagnostics& diagnostics) {
  const bool any = std::any_of(settings.listen.begin(), settings.listen.end(),
                               [](const ListenSettings& listen) { return listen.tls; });
  if (!any) return nullptr;
  net::TlsServerOptions options = net::tls_options(settings.certificates, settings.tls);
  if (settings.tier) {
    options.client_ca_file = settings.tier->client_ca;
    options.client_names = settings.tier->client_names;
  }
  std::string why;
  Result<std::shared_ptr<net::TlsContext>> tls = net::make_server_tls(options, &why);
  if (tls.ok()) return *tls;
  diagnostics.error("certificate: " + why);
  return nullptr;
}

// How purges of a site are mapped: by each set of key rules that one of its routes has.
PurgeSite purge_site_of(const Site& site) {
  PurgeSite purged{.id = site.id, .rules = {}};
  std::vector<uint64_t> seen;
  const auto add = [&](const KeyRules& rules) {
    const uint64_t hash = rules_hash(rules);
    if (std::find(seen.begin(), seen.end(), hash) != seen.end()) return;
    seen.push_back(hash);
    purged.rules.push_back(rules);
  };
  add(site.route.policy->key);
  for (const auto& [match, route] : site.rules) add(route.policy->key);
  return purged;
}

}  // namespace

std::shared_ptr<const Loaded> load(EdgeSettings settings, SiteIds& ids, Diagnostics& diagnostics) {
  auto loaded = std::make_shared<Loaded>();
  CompiledSites compiled = compile_sites(settings, ids, diagnostics);
  loaded->upstreams = Upstreams::build(settings, compiled.upstreams, diagnostics);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->sites = compiled.table;
  snapshot->groups = loaded->upstreams->groups();
  snapshot->shields = loaded->upstreams->shields();
  if (settings.shield) {
    snapshot->fallback = static_cast<ShieldFallback>(settings.shield->fallback);
  }
  snapshot->client_address = compile_client_address(settings.clients);
  if (settings.geo) snapshot->locator = open_geography(*settings.geo, diagnostics);
  loaded->tls = make_tls(settings, diagnostics);
  std::string why;
  if (std::optional<std::string> token = net::read_admin_token(settings.admin, &why)) {
    loaded->admin_token = std::move(*token);
  } else {
    diagnostics.error(why);
  }
  if (!diagnostics.ok()) return nullptr;
  for (const std::shared_ptr<const Site>& site : compiled.table->sites()) {
    loaded->purge_sites.emplace(site->name, purge_site_of(*site));
  }
  loaded->settings = std::move(settings);
  loaded->snapshot = std::move(snapshot);
  return loaded;
}

}  // namespace bw::edge
