#include "edge/node/settings.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/net/address.h"
#include "core/text/toml.h"
#include "edge/node/setting_rules.h"

namespace bw::edge {

void NodeSettings::declare(SettingGroup& g) {
  g.text("name", &name, "the node's name; default: from the host name").rule(net::node_name_rule);
  g.text("pop", &pop, "the point of presence it belongs to").rule(net::node_name_rule);
  g.word("role", &role, {"edge", "shield"},
         "edge: serves clients; shield: the tier before origins");
  g.integer("workers", &workers, "threads that serve; 0: one per core").between("0", "1024");
  g.path("key_seed", &key_seed,
         "file, the same on all nodes: seed of the store keys; default: one of the site's name");
  g.duration("drain_timeout", &drain_timeout, "how long a stop waits for requests")
      .between("0s", "1d");
  g.text("user", &user, "dropped to after binding, when started as root");
  g.text("group", &group, "the group to drop to; default: the user's");
  g.flag("unready_on_lag", &unready_on_lag, "whether /readyz says 503 while purges lag");
}

void ListenSettings::declare(SettingGroup& g) {
  net::ListenSettings::declare(g);
  g.flag("tier", &tier, "true: only tiers come in, others get 403");
  g.flag("proxy_protocol", &proxy_protocol,
         "true: PROXY v1 or v2 is needed within 1 s, from trusted_proxies only");
}

void ClientSettings::declare(SettingGroup& g) {
  g.list("trusted_proxies", &trusted_proxies, "networks believed about the client's address")
      .rule(network_rule);
  g.text("client_address", &client_address,
         "forwarded, x-forwarded-for or header:NAME: its rightmost address that isn't trusted")
      .rule(client_address_rule);
  g.duration("header_timeout", &header_timeout, "for a request's head").between("10ms", "1h");
  g.duration("body_timeout", &body_timeout, "between bytes of a request body")
      .between("10ms", "1h");
  g.duration("send_timeout", &send_timeout, "without progress while sending").between("10ms", "1h");
  g.duration("idle_timeout", &idle_timeout, "between requests").between("10ms", "1d");
  g.size("max_header_size", &max_header_size, "of a request's head; beyond: 431")
      .between("1KiB", "1MiB");
  g.integer("max_headers", &max_headers, "fields; beyond: 431").between("1", "10000");
  g.size("max_uri", &max_uri, "of a target; beyond: 414").between("256B", "1MiB");
  g.size("max_body_size", &max_body_size, "of a request; beyond: 413").between("1KiB", "1TiB");
  g.integer("max_connections", &max_connections, "0: from the descriptor limit")
      .between("0", "10000000");
  g.integer("max_connections_per_client", &max_connections_per_client, "0: none")
      .between("0", "1000000");
}

void MemorySettings::declare(SettingGroup& g) {
  g.size("size", &size, "of the whole memory tier: bodies, headers, index")
      .between("16MiB", "64TiB");
  g.word("objective", &objective, {"requests", "bytes"}, "what eviction tries to hit most of");
}

void DiskSettings::declare(SettingGroup& g) {
  g.path("path", &path, "folder of the disk tier").need();
  g.size("size", &size, "of the disk tier").need().between("64MiB", "1024TiB");
  g.size("memory", &memory, "of the database, hard bound").between("16MiB", "1TiB");
  g.word("admission", &admission, {"all", "second_hit"}, "what is written");
}

void ControlSettings::declare(SettingGroup& g) {
  g.text("url", &url, "the purge service").need().rule(control_url_rule);
  g.path("token_file", &token_file, "token of scope node");
  g.path("ca", &ca, "PEM file of trusted authorities; default: the system's");
  g.flag("insecure", &insecure, "allows http:// beyond loopback");
  g.duration("lag_limit", &lag_limit, "beyond it the site's on_lag applies").between("10ms", "1d");
  g.size("table_size", &table_size, "of the purged-since table").between("1MiB", "64GiB");
  g.list("advertise", &advertise, "addresses for registry and GeoDNS; default: the listeners'");
}

void TierSettings::declare(SettingGroup& g) {
  g.path("token_file", &token_file, "secret that both ends of a tier link know");
  g.path("cert", &cert, "PEM certificate shown on tier links");
  g.path("key", &key, "its key");
  g.path("ca", &ca, "PEM file: servers trusted as tiers");
  g.path("client_ca", &client_ca, "PEM file: clients trusted as tiers");
  g.list("client_names", &client_names, "names of theirs that are let in; none: all");
}

void ShieldSettings::declare(SettingGroup& g) {
  g.list("nodes", &nodes, "URLs of shields").need().rule(server_url_rule);
  g.integer("connections", &connections, "per worker and shield").between("1", "1024");
  g.word("fallback", &fallback, {"origin", "stale", "fail"}, "when no shield answers");
}

void GeoSettings::declare(SettingGroup& g) {
  g.path("country", &country, "MaxMind database of countries");
  g.text("country_key", &country_key, "path of the country in it");
  g.path("asn", &asn, "MaxMind database of ASNs");
  g.text("asn_key", &asn_key, "path of the ASN in it");
  g.size("table_size", &table_size, "most memory of the databases").between("1MiB", "16GiB");
}

void LimitsSettings::declare(SettingGroup& g) {
  g.size("table_size", &table_size, "of the table of buckets").between("64KiB", "64GiB");
}

void LogSettings::declare(SettingGroup& g) {
  g.text("access", &access, "stdout, off, or a file (reopened on SIGUSR1)");
  g.place(&file, &line);
  g.then([this] {
    const size_t slash = file.rfind('/');
    const bool is_path = access != "stdout" && access != "off" && !access.starts_with('/');
    if (is_path && slash != std::string::npos) access = file.substr(0, slash + 1) + access;
  });
  g.word("format", &format, {"json", "combined"}, "of the access log");
  g.word("level", &level, {"debug", "info", "warning", "error"}, "of the process log on stderr");
  g.word("client_address", &client_address, {"full", "truncated", "none"},
         "how clients' addresses are logged");
}

void EdgeSettings::declare(SettingGroup& g) {
  g.table("node", &node, "this node");
  g.tables("listen", &listen, "a listener for clients or tiers");
  g.tables(
      "certificate", &certificates,
      "chosen by SNI: exact, one-label wildcard, default, first; read again at a reload (SIGHUP)");
  g.table("tls", &tls, "TLS of all listeners");
  g.table("clients", &clients, "bounds and deadlines of clients");
  g.table("admin", &admin, "the admin API, never on a public listener");
  g.table("memory", &memory, "the memory tier");
  g.table("disk", &disk, "the disk tier");
  g.table("control", &control, "the purge service this node follows");
  g.table("tier", &tier, "how tiers prove themselves, on both ends");
  g.table("shield", &shield, "the shields this edge asks");
  g.table("geo", &geo, "where clients are");
  g.table("limits", &limits, "the table of rate limits");
  g.table("log", &log, "logs");
  g.tables("site", &sites, "a site; its name, hosts, origins and rules");
  g.check([this](const SettingGroup::Fault& fault) { check(fault); });
}

void EdgeSettings::check(const SettingGroup::Fault& fault) const {
  if (listen.empty()) fault("listen", "nothing", "at least one [[listen]] (or --listen)");
  if (sites.empty()) fault("site", "nothing", "at least one [[site]] (or --origin)");
  for (const ListenSettings& one : listen) {
    if (one.tier && !tier) fault("listen.tier", "true without [tier]", "[tier] with a secret");
    if (one.proxy_protocol && clients.trusted_proxies.empty()) {
      fault("listen.proxy_protocol", "true without clients.trusted_proxies", "networks to trust");
    }
  }
  net::check_certificates(net::find_tls(listen), certificates,
                          "a [[certificate]] (or --tls-cert and --tls-key)", fault);
  if (tier && tier->token_file.empty() && tier->cert.empty() && tier->client_ca.empty()) {
    fault("tier", "neither token nor certificate", "token_file, or cert, key, ca and client_ca");
  }
  if (tier && tier->cert.empty() != tier->key.empty()) {
    fault("tier.cert", "cert or key alone", "both");
  }
  if (shield && !tier) fault("shield", "[shield] without [tier]", "[tier] with a secret");
  if (shield && shield->nodes.empty()) fault("shield.nodes", "an empty list", "URLs of shields");
  if (shield && node.role == Role::shield) {
    fault("shield", "[shield] with node.role = \"shield\"", "only one tier of shields");
  }
  if (control) {
    const auto url = parse_server_url(control->url);
    const Result<net::Ip> ip = url ? net::Ip::parse(url->host) : Result<net::Ip>(net::Ip{});
    const bool loopback = url && ((ip.ok() && ip->loopback()) || url->host == "localhost");
    if (url && !url->tls && !loopback && !control->insecure) {
      fault("control.url", control->url, "https://, loopback, or insecure = true");
    }
  }
  if (geo && geo->country.empty() && geo->asn.empty()) {
    fault("geo", "no database", "country or asn");
  }
  std::set<std::string> names;
  std::map<std::string, std::string> hosts;
  if (sites.size() >= kMaxServedSites) fault("site", std::to_string(sites.size()), "fewer sites");
  for (const SiteSettings& site : sites) {
    if (!names.insert(site.name).second) fault("site.name", site.name + " twice", "each name once");
    for (const std::string& host : site.hosts) {
      const auto [at, fresh] = hosts.emplace(host, site.name);
      if (!fresh) {
        fault("site.hosts", host + " in " + site.name + " and " + at->second, "each host once");
      }
    }
    if (site.origin.empty() && !shield) {
      fault("site.origins", "none in " + site.name, "at least one origin, or [shield]");
    }
    const auto needs = [&](bool used, bool there, std::string_view what) {
      if (used && !there) {
        fault("site", std::string(what) + " in " + site.name, "[geo] with a database for it");
      }
    };
    const bool country = geo && !geo->country.empty();
    const bool asn = geo && !geo->asn.empty();
    for (const RuleSettings& rule : site.rules) needs(!rule.countries.empty(), country, "country");
    for (const LimitSettings& limit : site.limits) {
      for (const std::string& part : limit.key) {
        needs(part == "country", country, "limit key country");
        needs(part == "asn", asn, "limit key asn");
      }
    }
    for (const auto* list : {&site.access.allow, &site.access.deny}) {
      for (const std::string& entry : *list) {
        needs(entry.starts_with("country:"), country, entry);
        needs(entry.starts_with("asn:"), asn, entry);
      }
    }
  }
}

bool load_edge_settings(const EdgeFlags& flags, EdgeSettings& settings, Diagnostics& diagnostics) {
  const Tree overrides = flags_tree(flags, diagnostics);
  if (!diagnostics.ok()) return false;
  return text::load_settings(flags.config, overrides, settings, diagnostics);
}

}  // namespace bw::edge
