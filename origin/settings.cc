#include "origin/settings.h"

#include <optional>

#include "core/net/address.h"
#include "core/text/toml.h"
#include "purge/client/service_link.h"

namespace bw::origin {
namespace {

constexpr std::string_view kAddressForms = "IP:PORT, [IPv6]:PORT, unix:PATH or fd:NAME";

std::string address_rule(const std::string& text) {
  return net::Address::parse(text).ok() ? std::string() : std::string(kAddressForms);
}

std::string control_rule(const std::string& text) {
  return text.empty() || purge::parse_service_url(text) ? "" : "http://HOST:PORT or https://HOST";
}

void put(Tree& table, std::string_view key, const std::string& value) {
  if (!value.empty()) table.at(key) = Tree::string(value);
}

Tree flags_tree(const OriginOptions& options) {
  Tree tree;
  Tree& table = tree.at("origin");
  if (!options.listen.empty()) {
    Tree& list = table.at("listen");
    list.kind = Tree::Kind::array;
    for (const std::string& text : options.listen) list.items.push_back(Tree::string(text));
  }
  put(table, "admin", options.admin);
  put(table, "store", options.store);
  put(table, "static", options.static_files);
  put(table, "data", options.data);
  if (options.products) {
    Tree& products = table.at("products");
    products.kind = Tree::Kind::integer;
    products.integer = *options.products;
  }
  put(table, "site", options.site);
  put(table, "control", options.control);
  put(table, "token_file", options.token_file);
  put(table, "ca", options.ca);
  put(table, "delay", options.delay);
  return tree;
}

}  // namespace

void ApiSettings::declare(SettingGroup& g) {
  g.list_or_text("listen", &listen, "where the API listens; without: 127.0.0.1:9000")
      .rule(address_rule);
  g.text("admin", &admin, "where /healthz, /readyz, /metrics and /v1/status are; empty: nowhere")
      .rule([](const std::string& text) { return text.empty() ? "" : address_rule(text); });
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

void LogSettings::declare(SettingGroup& g) {
  g.word("level", &level, {"debug", "info", "warning", "error"}, "least level shown on stderr");
}

void OriginSettings::declare(SettingGroup& g) {
  g.table("origin", &origin, "the API");
  g.table("log", &log, "what is told");
}

bool load_settings(const OriginOptions& options, OriginSettings& settings,
                   Diagnostics& diagnostics) {
  if (!text::load_settings(options.config, flags_tree(options), settings, diagnostics)) {
    return false;
  }
  if (settings.origin.listen.empty()) settings.origin.listen = {"127.0.0.1:9000"};
  return true;
}

bool check_settings(const std::string& file, Diagnostics& diagnostics) {
  OriginOptions options;
  options.config = file;
  OriginSettings settings;
  return load_settings(options, settings, diagnostics);
}

std::string settings_document() {
  return settings_markdown("Origin: `breakwater origin`",
                           [](SettingGroup& g) { g.keep<OriginSettings>()->declare(g); });
}

}  // namespace bw::origin
