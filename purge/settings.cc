#include "purge/settings.h"

#include <algorithm>
#include <set>

#include "core/net/address.h"
#include "core/text/toml.h"
#include "purge/token.h"

namespace bw::purge {
namespace {

std::string address_rule(const std::string& text) {
  return net::Address::parse(text).ok() ? std::string()
                                        : "IP:PORT, [IPv6]:PORT, unix:PATH or fd:NAME";
}

std::string name_rule(const std::string& text) {
  const bool fine =
      !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
      });
  return fine ? "" : "1 to 64 of A-Z a-z 0-9 . _ -";
}

std::string host_rule(const std::string& text) {
  const bool fine =
      !text.empty() && text.find_first_of("/:? ") == std::string::npos &&
      std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  return fine ? "" : "a host name in lower case, *.NAME or *";
}

std::string site_of_token_rule(const std::string& text) {
  return text == "*" ? "" : name_rule(text);
}

std::string scope_rule(const std::string& text) {
  return parse_scope(text) != 0 ? ""
                                : "purge:url, purge:tag, purge:prefix, purge:all, read or node";
}

std::string hash_rule(const std::string& text) {
  return text.empty() || parse_token_hash(text) ? "" : "sha256: and 64 hex digits";
}

Tree text_list(const std::vector<std::string>& texts) {
  Tree list;
  list.kind = Tree::Kind::array;
  for (const std::string& text : texts) list.items.push_back(Tree::string(text));
  return list;
}

Tree flags_tree(const PurgedOptions& options) {
  Tree tree;
  if (!options.listen.empty()) {
    Tree& list = tree.at("listen");
    list.kind = Tree::Kind::array;
    for (std::string text : options.listen) {
      Tree one;
      if (text.starts_with("https://")) {
        text.erase(0, 8);
        one.at("tls") = Tree::boolean_of(true);
      } else if (text.starts_with("http://")) {
        text.erase(0, 7);
      }
      one.at("address") = Tree::string(text);
      list.items.push_back(std::move(one));
    }
  }
  if (!options.admin.empty()) tree.at("admin").at("listen") = Tree::string(options.admin);
  if (!options.data.empty()) tree.at("store").at("path") = Tree::string(options.data);
  if (!options.sites.empty()) {
    Tree& list = tree.at("site");
    list.kind = Tree::Kind::array;
    for (const std::string& text : options.sites) {
      const size_t equals = std::min(text.find('='), text.size());
      Tree one;
      one.at("name") = Tree::string(text.substr(0, equals));
      std::vector<std::string> hosts;
      for (size_t from = equals + 1; from < text.size();) {
        const size_t comma = std::min(text.find(',', from), text.size());
        hosts.push_back(text.substr(from, comma - from));
        from = comma + 1;
      }
      one.at("hosts") = text_list(hosts);
      list.items.push_back(std::move(one));
    }
  }
  if (!options.token_file.empty()) {
    Tree& list = tree.at("token");
    list.kind = Tree::Kind::array;
    Tree one;
    one.at("name") = Tree::string("flag");
    one.at("token_file") = Tree::string(options.token_file);
    one.at("sites") = text_list({"*"});
    one.at("scopes") =
        text_list({"purge:url", "purge:tag", "purge:prefix", "purge:all", "read", "node"});
    list.items.push_back(std::move(one));
  }
  return tree;
}

}  // namespace

void NodeSettings::declare(SettingGroup& g) {
  g.text("name", &name, "of this process, shown by /v1/status").rule(name_rule);
  g.duration("drain_timeout", &drain_timeout, "for requests under way at the end")
      .between("10ms", "10m");
}

void TlsSettings::declare(SettingGroup& g) {
  g.text("min_version", &min_version, "least TLS version").choice({"1.2", "1.3"});
}

void ListenSettings::declare(SettingGroup& g) {
  g.text("address", &address, "where the API listens").need().rule(address_rule);
  g.flag("tls", &tls, "TLS, with the first [[certificate]] or by SNI");
}

void CertificateSettings::declare(SettingGroup& g) {
  g.path("cert", &cert, "PEM chain").need();
  g.path("key", &key, "PEM key").need();
}

void AdminSettings::declare(SettingGroup& g) {
  g.text("listen", &listen, "where /healthz, /readyz, /metrics and /v1/status are")
      .need()
      .rule(address_rule);
  g.path("token_file", &token_file, "bearer token for all but /healthz and /readyz");
}

void StoreSettings::declare(SettingGroup& g) {
  g.path("path", &path, "folder of the log and the registry");
}

void RegistrySettings::declare(SettingGroup& g) {
  g.duration("heartbeat", &heartbeat, "between digests, and between beats of nodes")
      .between("50ms", "1m");
  g.duration("quarantine_after", &quarantine_after, "without a beat: listed as quarantined")
      .between("1s", "1d");
  g.duration("forget_after", &forget_after, "without a beat: no longer a node")
      .between("10s", "365d");
}

void SiteSettings::declare(SettingGroup& g) {
  g.text("name", &name, "its name in URLs of the API").need().rule(name_rule);
  g.list("hosts", &hosts, "finds the site of a URL; *.NAME and * are allowed")
      .need()
      .rule(host_rule);
  g.rate("rate", &rate, "purge items");
  g.integer("burst", &burst, "items at once").between("1", "1000000");
  g.integer("reserve", &reserve, "of those, kept for `everything`").between("0", "1000000");
}

void TokenSettings::declare(SettingGroup& g) {
  g.text("name", &name, "shown as actor in the audit trail").need().rule(name_rule);
  g.path("token_file", &token_file, "its first line is the secret; watched");
  g.text("hash", &hash, "instead of a file: sha256:HEX of the secret").rule(hash_rule);
  g.list("sites", &sites, "names of sites, or \"*\"").need().rule(site_of_token_rule);
  g.list("scopes", &scopes, "what it may do").need().rule(scope_rule);
  g.check([this](const SettingGroup::Fault& fault) {
    if (token_file.empty() == hash.empty()) {
      fault("token_file", token_file.empty() ? "neither" : "both", "one of token_file and hash");
    }
  });
}

void LogSettings::declare(SettingGroup& g) {
  g.word("level", &level, {"debug", "info", "warning", "error"}, "least level shown on stderr");
}

void PurgedSettings::declare(SettingGroup& g) {
  g.table("node", &node, "this process");
  g.tables("listen", &listen, "listeners of the API");
  g.table("tls", &tls, "TLS of all listeners");
  g.tables("certificate", &certificates, "chosen by SNI");
  g.table("admin", &admin, "the operator's listener");
  g.table("store", &store, "the durable log");
  g.table("registry", &registry, "who is a node");
  g.tables("site", &sites, "what can be purged");
  g.tables("token", &tokens, "who may purge");
  g.table("log", &log, "what is told");
  g.check([this](const SettingGroup::Fault& fault) {
    if (listen.empty()) fault("listen", "nothing", "at least one [[listen]]");
    if (sites.empty()) fault("site", "nothing", "at least one [[site]]");
    const bool tls =
        std::any_of(listen.begin(), listen.end(), [](const auto& one) { return one.tls; });
    if (tls && certificates.empty()) {
      fault("listen.tls", "true without [[certificate]]", "a certificate");
    }
    std::set<std::string> names;
    for (const SiteSettings& site : sites) {
      if (!names.insert(site.name).second) fault("site.name", site.name, "a name once");
    }
    std::set<std::string> tokens_seen;
    for (const TokenSettings& token : tokens) {
      if (!tokens_seen.insert(token.name).second) fault("token.name", token.name, "a name once");
      for (const std::string& site : token.sites) {
        if (site != "*" && names.count(site) == 0) fault("token.sites", site, "a [[site]] or *");
      }
    }
  });
}

bool load_purged_settings(const PurgedOptions& options, PurgedSettings& settings,
                          Diagnostics& diagnostics) {
  return text::load_settings(options.config, flags_tree(options), settings, diagnostics);
}

}  // namespace bw::purge
