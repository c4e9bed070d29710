#include "edge/node/setting_rules.h"
#include "edge/node/settings.h"

namespace bw::edge {
namespace {

void put(Tree& tree, std::string_view table, std::string_view key, const std::string& value) {
  if (!value.empty()) tree.at(table).at(key) = Tree::string(value);
}

// What the flags say about every site.
Tree with_upstream(Tree site, const EdgeFlags& flags) {
  if (!flags.origin.empty()) site.at("origins") = Tree::strings(flags.origin);
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
    tree.at("node").at("workers") = Tree::integer_of(*flags.workers);
  }
  if (!flags.listen.empty()) tree.at("listen") = net::listen_flags(flags.listen);
  if (flags.tls_cert.empty() != flags.tls_key.empty()) {
    diagnostics.error("command line", 0, "--tls-cert", "one of --tls-cert and --tls-key",
                      "both or neither");
  } else if (!flags.tls_cert.empty()) {
    Tree certificate;
    certificate.at("cert") = Tree::string(flags.tls_cert);
    certificate.at("key") = Tree::string(flags.tls_key);
    tree.at("certificate") = Tree::array({std::move(certificate)});
  }
  put(tree, "admin", "listen", flags.admin);
  put(tree, "admin", "token_file", flags.admin_token_file);
  put(tree, "memory", "size", flags.memory);
  put(tree, "disk", "path", flags.disk);
  put(tree, "disk", "size", flags.disk_size);
  put(tree, "control", "url", flags.control);
  put(tree, "control", "token_file", flags.token_file);
  put(tree, "tier", "token_file", flags.tier_token_file);
  if (!flags.shield.empty()) tree.at("shield").at("nodes") = Tree::strings(flags.shield);
  // One authority for all that this node asks.
  if (tree.find("control") != nullptr) put(tree, "control", "ca", flags.ca);
  if (tree.find("tier") != nullptr) put(tree, "tier", "ca", flags.ca);

  Tree sites = Tree::array({});
  for (const std::string& one : flags.site) {
    if (std::optional<Tree> site = net::site_flag(one, diagnostics)) {
      sites.items.push_back(with_upstream(std::move(*site), flags));
    }
  }
  const bool shielded = !flags.shield.empty() && flags.config.empty();
  if (flags.site.empty() && (!flags.origin.empty() || shielded)) {
    sites.items.push_back(with_upstream(*net::site_flag("default=*", diagnostics), flags));
  }
  if (!sites.items.empty()) tree.at("site") = std::move(sites);
  return tree;
}

}  // namespace bw::edge
