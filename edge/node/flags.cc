#include "edge/node/setting_rules.h"
#include "edge/node/settings.h"

namespace bw::edge {
namespace {

Tree list_of(const std::vector<std::string>& texts) {
  Tree list;
  list.kind = Tree::Kind::array;
  for (const std::string& text : texts) list.items.push_back(Tree::string(text));
  return list;
}

Tree list_of(Tree table) {
  Tree list;
  list.kind = Tree::Kind::array;
  list.items.push_back(std::move(table));
  return list;
}

void put(Tree& tree, std::string_view table, std::string_view key, const std::string& value) {
  if (!value.empty()) tree.at(table).at(key) = Tree::string(value);
}

Tree listen_tree(std::string_view text) {
  Tree one;
  constexpr std::string_view kTls = "https://";
  constexpr std::string_view kPlain = "http://";
  if (text.starts_with(kTls)) {
    text.remove_prefix(kTls.size());
    one.at("tls") = Tree::boolean_of(true);
  } else if (text.starts_with(kPlain)) {
    text.remove_prefix(kPlain.size());
  }
  one.at("address") = Tree::string(std::string(text));
  return one;
}

// NAME=HOST[,HOST] and the origins of all sites given by flags.
Tree site_tree(const std::string& name, std::string_view hosts, const EdgeFlags& flags) {
  Tree site;
  site.at("name") = Tree::string(name);
  std::vector<std::string> list;
  while (!hosts.empty()) {
    const size_t comma = hosts.find(',');
    list.emplace_back(hosts.substr(0, comma));
    hosts = comma == std::string_view::npos ? std::string_view() : hosts.substr(comma + 1);
  }
  site.at("hosts") = list_of(list);
  if (!flags.origin.empty()) site.at("origins") = list_of(flags.origin);
  if (!flags.ca.empty()) site.at("upstream").at("ca") = Tree::string(flags.ca);
  return site;
}

}  // namespace

Tree flags_tree(const EdgeFlags& flags, Diagnostics& diagnostics) {
  Tree tree;
  put(tree, "node", "name", flags.node);
  put(tree, "node", "pop", flags.pop);
  put(tree, "node", "role", flags.role);
  if (flags.workers) {
    Tree& workers = tree.at("node").at("workers");
    workers.kind = Tree::Kind::integer;
    workers.integer = *flags.workers;
  }
  if (!flags.listen.empty()) {
    Tree& listen = tree.at("listen");
    listen.kind = Tree::Kind::array;
    for (const std::string& one : flags.listen) listen.items.push_back(listen_tree(one));
  }
  if (flags.tls_cert.empty() != flags.tls_key.empty()) {
    diagnostics.error("command line", 0, "--tls-cert", "one of --tls-cert and --tls-key",
                      "both or neither");
  } else if (!flags.tls_cert.empty()) {
    Tree certificate;
    certificate.at("cert") = Tree::string(flags.tls_cert);
    certificate.at("key") = Tree::string(flags.tls_key);
    tree.at("certificate") = list_of(std::move(certificate));
  }
  put(tree, "admin", "listen", flags.admin);
  put(tree, "admin", "token_file", flags.admin_token_file);
  put(tree, "memory", "size", flags.memory);
  put(tree, "disk", "path", flags.disk);
  put(tree, "disk", "size", flags.disk_size);
  put(tree, "control", "url", flags.control);
  put(tree, "control", "token_file", flags.token_file);
  put(tree, "tier", "token_file", flags.tier_token_file);
  if (!flags.shield.empty()) tree.at("shield").at("nodes") = list_of(flags.shield);
  // One authority for all that this node asks.
  if (tree.find("control") != nullptr) put(tree, "control", "ca", flags.ca);
  if (tree.find("tier") != nullptr) put(tree, "tier", "ca", flags.ca);

  Tree sites;
  sites.kind = Tree::Kind::array;
  for (const std::string& one : flags.site) {
    const size_t equals = one.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == one.size()) {
      diagnostics.error("command line", 0, "--site", '"' + one + '"', "NAME=HOST[,HOST]");
      continue;
    }
    sites.items.push_back(
        site_tree(one.substr(0, equals), std::string_view(one).substr(equals + 1), flags));
  }
  const bool shielded = !flags.shield.empty() && flags.config.empty();
  if (flags.site.empty() && (!flags.origin.empty() || shielded)) {
    sites.items.push_back(site_tree("default", "*", flags));
  }
  if (!sites.items.empty()) tree.at("site") = std::move(sites);
  return tree;
}

}  // namespace bw::edge
