#include "geo/loading.h"

#include <utility>

#include "core/base/token_file.h"
#include "geo/check.h"

namespace bw::geo {
namespace {

Result<std::shared_ptr<const Locator>> open_database(const GeodnsSettings& settings,
                                                     std::string* why) {
  if (!settings.geo) return std::shared_ptr<const Locator>();
  LocatorOptions options;
  options.country_file = settings.geo->country;
  options.country_key = settings.geo->country_key;
  return Locator::open(options, why);
}

}  // namespace

std::shared_ptr<const Loaded> load_world(const GeodnsOptions& options,
                                         const dns::CookieSecret& secret, Diagnostics& diagnostics,
                                         std::string* why) {
  auto settings = std::make_shared<GeodnsSettings>();
  if (!load_geodns_settings(options, *settings, diagnostics)) return nullptr;
  auto loaded = std::make_shared<Loaded>();
  // All errors of the settings come before what the machine lacks.
  if (compile_world(*settings, nullptr, {secret}, diagnostics); !diagnostics.ok()) return nullptr;
  std::vector<dns::CookieSecret> secrets{secret};
  if (!settings->cookies.secret.empty()) {
    auto read = read_cookie_secrets(settings->cookies.secret, why);
    if (!read) return nullptr;
    secrets = std::move(*read);
  }
  std::optional<std::string> token = net::read_admin_token(settings->admin, why);
  if (!token) return nullptr;
  loaded->admin_token = std::move(*token);
  const auto locator = open_database(*settings, why);
  if (!locator) return nullptr;
  loaded->world = compile_world(*settings, *locator, std::move(secrets), diagnostics);
  loaded->settings = std::move(settings);
  return diagnostics.ok() ? loaded : nullptr;
}

std::shared_ptr<const Loaded> reload_database(const Loaded& loaded, std::string* why) {
  const auto locator = open_database(*loaded.settings, why);
  if (!locator) return nullptr;
  auto next = std::make_shared<Loaded>(loaded);
  Diagnostics diagnostics;
  next->world = compile_world(*loaded.settings, *locator, loaded.world->secrets, diagnostics);
  if (diagnostics.ok()) return next;
  *why = diagnostics.errors().front();
  return nullptr;
}

Diagnostics check_geodns_file(const std::string& path) {
  Diagnostics diagnostics;
  GeodnsSettings settings;
  GeodnsOptions options;
  options.config_file = path;
  // What tables must agree on is told beside the faults of single keys.
  (void)load_geodns_settings(options, settings, diagnostics);
  std::string why;
  auto locator = open_database(settings, &why);
  if (!locator) diagnostics.warning("geo.country: " + why);
  (void)compile_world(settings, locator.ok() ? *locator : nullptr, {dns::CookieSecret{}},
                      diagnostics);
  check_secret_file(settings.cookies.secret, "cookies.secret", diagnostics);
  if (settings.admin)
    check_secret_file(settings.admin->token_file, "admin.token_file", diagnostics);
  if (settings.control) {
    check_secret_file(settings.control->token_file, "control.token_file", diagnostics);
  }
  if (!settings.cookies.secret.empty() && !read_cookie_secrets(settings.cookies.secret, &why)) {
    diagnostics.warning("cookies.secret: " + why);
  }
  return diagnostics;
}

std::string geodns_settings_markdown() {
  GeodnsSettings settings;
  return settings_markdown("GeoDNS: `breakwater geodns --config FILE`",
                           [&settings](SettingGroup& g) { settings.declare(g); });
}

}  // namespace bw::geo
