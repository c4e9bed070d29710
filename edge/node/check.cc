#include "edge/node/check.h"

#include "core/base/token_file.h"
#include "edge/node/settings.h"
#include "edge/node/sites.h"

namespace bw::edge {
Diagnostics check_edge_file(const std::string& path) {
  Diagnostics diagnostics;
  EdgeFlags flags;
  flags.config = path;
  EdgeSettings settings;
  if (!load_edge_settings(flags, settings, diagnostics)) return diagnostics;
  SiteIds ids;
  (void)compile_sites(settings, ids, diagnostics);
  net::check_secret_files(settings.certificates, settings.tls, settings.admin, diagnostics);
  check_secret_file(settings.node.key_seed, "node.key_seed", diagnostics);
  if (settings.control) {
    check_secret_file(settings.control->token_file, "control.token_file", diagnostics);
  }
  if (settings.tier) {
    check_secret_file(settings.tier->token_file, "tier.token_file", diagnostics);
    check_secret_file(settings.tier->key, "tier.key", diagnostics);
  }
  return diagnostics;
}

std::string edge_settings_markdown() {
  EdgeSettings settings;
  return settings_markdown("Edge and shield: `breakwater edge --config FILE`",
                           [&settings](SettingGroup& g) { settings.declare(g); });
}

}  // namespace bw::edge
