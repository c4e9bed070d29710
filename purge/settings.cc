#include "purge/settings.h"

#include <algorithm>
#include <set>

#include "core/text/toml.h"
#include "purge/token.h"

namespace bw::purge {
namespace {

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

Tree flags_tree(const PurgedOptions& options, Diagnostics& diagnostics) {
  Tree tree;
  if (!options.listen.empty()) tree.at("listen") = net::listen_flags(options.listen);
  if (!options.admin.empty()) tree.at("admin").at("listen") = Tree::string(options.admin);
  if (!options.data.empty()) tree.at("store").at("path") = Tree::string(options.data);
  if (!options.sites.empty()) {
    Tree sites = Tree::array({});
    for (const std::string& text : options.sites) {
      if (std::optional<Tree> site = net::site_flag(text, diagnostics)) {
        sites.items.push_back(std::move(*site));
      }
    }
    tree.at("site") = std::move(sites);
  }
  if (!options.token_file.empty()) {
    Tree one;
    one.at("name") = Tree::string("flag");
    one.at("token_file") = Tree::string(options.token_file);
    one.at("sites") = Tree::strings({"*"});
    one.at("scopes") =
        Tree::strings({"purge:url", "purge:tag", "purge:prefix", "purge:all", "read", "node"});
    tree.at("token") = Tree::array({std::move(one)});
  }
  return tree;
}

}  // namespace

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

void PurgedSettings::declare(SettingGroup& g) {
  net::ApiProcessSettings::declare(g);
  g.table("store", &store, "the durable log");
  g.table("registry", &registry, "who is a node");
  g.tables("site", &sites, "what can be purged");
  g.tables("token", &tokens, "who may purge");
  g.check([this](const SettingGroup::Fault& fault) {
    if (listen.empty()) fault("listen", "nothing", "at least one [[listen]]");
    if (sites.empty()) fault("site", "nothing", "at least one [[site]]");
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
  const Tree overrides = flags_tree(options, diagnostics);
  return diagnostics.ok() && text::load_settings(options.config, overrides, settings, diagnostics);
}

}  // namespace bw::purge
