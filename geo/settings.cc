#include "geo/settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "core/dns/name.h"
#include "core/net/address.h"
#include "core/text/toml.h"
#include "geo/continents.h"
#include "geo/program.h"

namespace bw::geo {
namespace {

std::string when(bool good, std::string_view allowed) {
  return good ? std::string() : std::string(allowed);
}

std::string label_rule(const std::string& text) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return when(!text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), good),
              "1 to 64 letters, digits, '.', '_' or '-'");
}

std::string dns_address_rule(const std::string& text) {
  const Result<net::Address> address = net::Address::parse(text);
  return when(address.ok() && (address->family() == net::Address::Family::ip ||
                               address->family() == net::Address::Family::descriptor),
              "IP:PORT, [IPv6]:PORT or fd:NAME");
}

std::string ip_rule(const std::string& text) {
  return when(net::Ip::parse(text).ok(), "an IP address");
}

std::string name_rule(const std::string& text) {
  const Result<dns::Name> name = dns::Name::parse(text);
  return when(name.ok() && !name->is_root(), "a domain name");
}

// A name below the zone: `www`, `a.b`, `@` (the zone itself), `*`, `*.b`.
std::string below_rule(const std::string& text) {
  return when(text == "@" || (!text.ends_with('.') && dns::Name::parse(text).ok()),
              "a name relative to the zone, \"@\" or \"*\"");
}

std::string url_rule(const std::string& text) {
  const auto url = parse_probe_url(text);
  return when(url && url->target == "/", "http://HOST:PORT or https://HOST:PORT");
}

std::string probe_rule(const std::string& text) {
  return when(text.empty() || parse_probe_url(text).has_value(),
              "http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH");
}

std::string pop_list_rule(const std::string& text) {
  return text == "nearest" ? "names of POPs (\"nearest\" needs coordinates, which don't exist yet)"
                           : label_rule(text);
}

}  // namespace

std::optional<ProbeUrl> parse_probe_url(std::string_view text) {
  ProbeUrl url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(url.tls ? 8 : 7);
  const size_t slash = std::min(text.find('/'), text.size());
  url.target = slash == text.size() ? "/" : std::string(text.substr(slash));
  url.authority = text.substr(0, slash);
  std::string_view host = url.authority;
  std::string_view port;
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    port = host.substr(end + 1);
    host = host.substr(1, end - 1);
    const Result<net::Ip> ip = net::Ip::parse(host);
    if (!ip || host.find(':') == std::string_view::npos) return std::nullopt;
  } else {
    const size_t colon = std::min(host.find(':'), host.size());
    port = host.substr(colon);
    host = host.substr(0, colon);
    const Result<dns::Name> name = dns::Name::parse(host);
    if (!name || name->is_root()) return std::nullopt;
  }
  url.port = url.tls ? 443 : 80;
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto end = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (end.ec != std::errc() || end.ptr != port.data() + port.size() || url.port == 0) {
      return std::nullopt;
    }
  }
  url.host = host;
  const auto clean = [](const std::string& part) {
    return part.size() <= 2048 && std::all_of(part.begin(), part.end(), [](char c) {
             return c > ' ' && c < 127 && c != '#' && c != '@' && c != '\\';
           });
  };
  if (!clean(url.authority) || !clean(url.target)) return std::nullopt;
  return url;
}

void ProcessSettings::declare(SettingGroup& g) {
  g.text("name", &name, "the node's name; default: from the host name").rule(net::node_name_rule);
  g.integer("workers", &workers, "threads that answer; 0: one per core").between("0", "1024");
  g.text("user", &user, "dropped to after binding, when started as root");
  g.text("group", &group, "the group to drop to; default: the user's");
}

void DnsListenSettings::declare(SettingGroup& g) {
  g.text("address", &address, "IP:PORT, [IPv6]:PORT or fd:NAME, UDP and TCP; port 0: any")
      .need()
      .rule(dns_address_rule);
}

void DatabaseSettings::declare(SettingGroup& g) {
  g.path("country", &country, "MaxMind database of countries; reloaded when it changes").need();
  g.text("country_key", &country_key, "path of the country in it");
}

void ControlSettings::declare(SettingGroup& g) {
  g.text("url", &url, "the purge service, whose registry knows the nodes").need().rule(url_rule);
  g.path("token_file", &token_file, "token that may read the registry");
  g.path("ca", &ca, "PEM file of trusted authorities; default: the system's");
  g.flag("insecure", &insecure, "allows http:// beyond loopback");
}

void StateSettings::declare(SettingGroup& g) {
  g.path("path", &path, "folder where the last known health is kept").need();
}

void ProbeSettings::declare(SettingGroup& g) {
  g.duration("interval", &interval, "between probes of one address").between("100ms", "1h");
  g.duration("timeout", &timeout, "for a probe's whole answer").between("10ms", "1m");
  g.path("ca", &ca, "PEM file of trusted authorities; default: the system's");
}

void RrlSettings::declare(SettingGroup& g) {
  g.rate("responses", &responses,
         "UDP answers per IPv4 /24 or IPv6 /56 without a valid cookie; beyond: TC; 0: no limit");
}

void CookieSettings::declare(SettingGroup& g) {
  g.path("secret", &secret,
         "file of 32 hex digits a line: the first signs, all are valid; default: one of this run");
}

void PopSettings::declare(SettingGroup& g) {
  g.place(&place.file, &place.line);
  g.text("name", &name, "the point of presence").need().rule(label_rule);
  g.list("addresses", &addresses, "of its nodes, IPv4 and IPv6").need().rule(ip_rule);
  g.text("probe", &probe, "URL asked of each address in turn; 2xx is healthy; empty: none")
      .rule(probe_rule);
  g.integer("min_nodes", &min_nodes, "healthy addresses of the asked family it needs")
      .between("1", "1000");
}

void MapSettings::declare(SettingGroup& g) {
  g.place(&place.file, &place.line);
  g.text("name", &name, "of the map").need().rule(label_rule);
  g.list("default", &defaults, "POPs in their order, for places nothing else names")
      .need()
      .rule(pop_list_rule);
  g.lists("countries", &countries, "POPs by country of two letters");
  g.lists("continents", &continents, "POPs by continent: AF AN AS EU NA OC SA");
  g.lists("networks", &networks, "POPs by network, before country and continent");
}

void EdgeNameSettings::declare(SettingGroup& g) {
  g.place(&place.file, &place.line);
  g.text("name", &name, "below the zone; \"@\" the zone, \"*\" any name").need().rule(below_rule);
  g.text("map", &map, "the map that answers").need().rule(label_rule);
  g.ttl("ttl", &ttl, "of its addresses").between("1s", "1d");
  g.integer("answers", &answers, "addresses in an answer").between("1", "8");
}

void RecordSettings::declare(SettingGroup& g) {
  g.place(&place.file, &place.line);
  g.text("name", &name, "below the zone; \"@\" the zone, \"*\" any name").need().rule(below_rule);
  g.text("type", &type, "of the record").need().choice({"A", "AAAA", "NS", "TXT", "CAA", "CNAME"});
  g.ttl("ttl", &ttl, "of the record").between("0s", "365d");
  g.list("data", &data, "one item a record").need();
}

void ZoneSettings::declare(SettingGroup& g) {
  g.place(&place.file, &place.line);
  g.text("name", &name, "the zone").need().rule(name_rule);
  g.list("ns", &ns, "its name servers").need().rule(name_rule);
  g.text("mname", &mname, "SOA: the primary; default: the first of ns").rule(name_rule);
  g.text("rname", &rname, "SOA: the mailbox as a name; default: hostmaster below the zone")
      .rule(name_rule);
  g.integer("serial", &serial, "SOA; 0: from the file's time");
  g.ttl("refresh", &refresh, "SOA").between("1s", "365d");
  g.ttl("retry", &retry, "SOA").between("1s", "365d");
  g.ttl("expire", &expire, "SOA").between("1s", "3650d");
  g.ttl("minimum", &minimum, "SOA, and how long absence may be kept").between("1s", "1d");
  g.tables("edge", &edges, "a name answered from a map");
  g.tables("record", &records, "records that are the same for everybody");
}

void GeodnsSettings::declare(SettingGroup& g) {
  g.table("node", &node, "this process");
  g.tables("listen", &listen, "where DNS is answered, UDP and TCP");
  g.table("admin", &admin, "the admin API");
  g.table("geo", &geo, "where clients are");
  g.table("control", &control, "the purge service, whose registry tells the nodes' health");
  g.table("state", &state, "what is known across restarts");
  g.table("probe", &probe, "how addresses are probed: down on three failures in a row or in five");
  g.table("rrl", &rrl, "response rate limit");
  g.table("cookies", &cookies, "DNS cookies (RFC 7873)");
  g.tables("pop", &pops, "a point of presence");
  g.tables("map", &maps, "which POPs serve which place");
  g.tables("zone", &zones, "a zone answered with authority");
  g.table("log", &log, "the process log");
  g.check([this](const SettingGroup::Fault& fault) { check(fault); });
}

void GeodnsSettings::check(const SettingGroup::Fault& fault) const {
  if (listen.empty()) fault("listen", "nothing", "at least one [[listen]]");
  if (zones.empty()) fault("zone", "nothing", "at least one [[zone]]");
  if (!control) return;
  const auto url = parse_probe_url(control->url);
  if (!url || url->tls || control->insecure) return;
  const Result<net::Ip> ip = net::Ip::parse(url->host);
  if (url->host != "localhost" && !(ip.ok() && ip->loopback())) {
    fault("control.url", control->url, "https://, loopback, or insecure = true");
  }
}

bool load_geodns_settings(const GeodnsOptions& options, GeodnsSettings& settings,
                          Diagnostics& diagnostics) {
  Tree overrides;
  if (!options.listen.empty()) {
    Tree& list = overrides.at("listen") = Tree::array({});
    for (const std::string& address : options.listen) {
      Tree one;
      one.at("address") = Tree::string(address);
      list.items.push_back(std::move(one));
    }
  }
  if (!options.admin.empty()) overrides.at("admin").at("listen") = Tree::string(options.admin);
  struct stat status {};
  if (::stat(options.config_file.c_str(), &status) == 0) {
    settings.file_time = static_cast<uint32_t>(status.st_mtim.tv_sec);
  }
  const bool good = text::load_settings(options.config_file, overrides, settings, diagnostics);
  if (settings.node.name.empty()) settings.node.name = net::default_node_name();
  return good;
}

}  // namespace bw::geo
