#include "origin/settings.h"

#include <optional>
#include <utility>

#include "core/base/token_file.h"
#include "core/net/address.h"
#include "core/text/toml.h"
#include "purge/client/service_link.h"

namespace bw::origin {
namespace {

std::string listen_rule(const std::string& text) {
  const Tree one = net::listen_flags({text}).items[0];
  const std::string allowed = net::address_rule(one.find("address")->text);
  return allowed.empty() ? "" : allowed + ", https:// before it for TLS";
}

std::string control_rule(const std::string& text) {
  return text.empty() || purge::parse_service_url(text) ? "" : "http://HOST:PORT or https://HOST";
}

void put(Tree& table, std::string_view key, const std::string& value) {
  if (!value.empty()) table.at(key) = Tree::string(value);
}

Tree flags_tree(const OriginOptions& options) {
  Tree tree;
  Tree table;
  // Over both of the places a file may say it.
  if (!options.listen.empty()) {
    tree.at("listen") = net::listen_flags(options.listen);
    table.at("listen") = Tree::array({});
  }
  if (!options.admin.empty()) {
    tree.at("admin").at("listen") = Tree::string(options.admin);
    table.at("admin") = Tree::string("");
  }
  put(table, "store", options.store);
  put(table, "static", options.static_files);
  put(table, "data", options.data);
  if (options.products) table.at("products") = Tree::integer_of(*options.products);
  put(table, "site", options.site);
  put(table, "control", options.control);
  put(table, "token_file", options.token_file);
  put(table, "ca", options.ca);
  put(table, "delay", options.delay);
  tree.at("origin") = std::move(table);
  return tree;
}

}  // namespace

void ApiSettings::declare(SettingGroup& g) {
  g.list_or_text("listen", &listen,
                 "a short [[listen]]: ADDR or https://ADDR; with neither: 127.0.0.1:9000")
      .rule(listen_rule);
  g.text("admin", &admin, "a short [admin]: the address, without a token")
      .rule([](const std::string& text) { return text.empty() ? "" : net::address_rule(text); });
  g.path("store", &store, "folder of the database");
  g.path("static", &static_files, "folder served below /static/; empty: none");
  g.path("data", &data, "products, one JSON object a line, for those the store lacks");
  g.integer("products", &products, "products generated for an empty store without `data`")
      .between("0", "10000000");
  g.text("site", &site, "the site's name at the purge service");
  g.text("control", &control, "URL of the purge service; empty: writes publish nothing")
      .rule(control_rule);
  g.path("token_file", &token_file, "token for the purge service");
  g.path("ca", &ca, "trusted for an https `control`; empty: the system's");
  g.flag("insecure", &insecure, "allows http:// beyond loopback");
  g.duration("delay", &delay, "before each answer of the API").between("1ms", "10m").or_off();
  g.check([this](const SettingGroup::Fault& fault) {
    if (control.empty()) return;
    if (site.empty()) fault("site", "nothing", "the site's name, since `control` is given");
    const std::optional<purge::ServiceUrl> url = purge::parse_service_url(control);
    if (!url || url->https || insecure) return;
    const Result<net::Ip> ip = net::Ip::parse(url->host);
    if (!(ip.ok() && ip->loopback()) && url->host != "localhost") {
      fault("control", control, "https://, loopback, or insecure = true");
    }
  });
}

void OriginSettings::declare(SettingGroup& g) {
  // First, so that its listeners are among those that are checked.
  g.table("origin", &origin, "the API");
  net::ApiProcessSettings::declare(g);
  g.then([this] {
    for (const Tree& one : net::listen_flags(origin.listen).items) {
      listen.push_back({one.find("address")->text, one.find("tls") != nullptr});
    }
    if (listen.empty()) listen.push_back({"127.0.0.1:9000", false});
    if (!origin.admin.empty() && !admin) admin = net::AdminSettings{origin.admin, ""};
  });
  g.check([this](const SettingGroup::Fault& fault) {
    if (!origin.admin.empty() && admin->listen != origin.admin) {
      fault("origin.admin", origin.admin, "one of origin.admin and [admin]");
    }
  });
}

bool load_settings(const OriginOptions& options, OriginSettings& settings,
                   Diagnostics& diagnostics) {
  return text::load_settings(options.config, flags_tree(options), settings, diagnostics);
}

bool check_settings(const std::string& file, Diagnostics& diagnostics) {
  OriginOptions options;
  options.config = file;
  OriginSettings settings;
  if (!load_settings(options, settings, diagnostics)) return false;
  net::check_secret_files(settings.certificates, settings.tls, settings.admin, diagnostics);
  check_secret_file(settings.origin.token_file, "origin.token_file", diagnostics);
  return true;
}

std::string settings_document() {
  return settings_markdown("Origin: `breakwater origin`",
                           [](SettingGroup& g) { g.keep<OriginSettings>()->declare(g); });
}

}  // namespace bw::origin
