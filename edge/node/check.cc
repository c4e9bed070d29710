#include "edge/node/check.h"

#include <sys/stat.h>

#include "edge/node/settings.h"
#include "edge/node/sites.h"

namespace bw::edge {
namespace {

void check_secret(const std::string& path, std::string_view key, Diagnostics& diagnostics) {
  struct stat status {};
  if (path.empty()) return;
  if (::stat(path.c_str(), &status) != 0) {
    diagnostics.warning(std::string(key) + ": " + path + " isn't there");
  } else if ((status.st_mode & S_IROTH) != 0) {
    diagnostics.warning(std::string(key) + ": " + path + " can be read by others");
  }
}

}  // namespace

Diagnostics check_edge_file(const std::string& path) {
  Diagnostics diagnostics;
  EdgeFlags flags;
  flags.config = path;
  EdgeSettings settings;
  if (!load_edge_settings(flags, settings, diagnostics)) return diagnostics;
  SiteIds ids;
  (void)compile_sites(settings, ids, diagnostics);
  for (const CertificateSettings& one : settings.certificates) {
    check_secret(one.key, "certificate.key", diagnostics);
  }
  check_secret(settings.tls.ticket_keys, "tls.ticket_keys", diagnostics);
  check_secret(settings.node.key_seed, "node.key_seed", diagnostics);
  if (settings.admin) check_secret(settings.admin->token_file, "admin.token_file", diagnostics);
  if (settings.control) {
    check_secret(settings.control->token_file, "control.token_file", diagnostics);
  }
  if (settings.tier) {
    check_secret(settings.tier->token_file, "tier.token_file", diagnostics);
    check_secret(settings.tier->key, "tier.key", diagnostics);
  }
  return diagnostics;
}

std::string edge_settings_markdown() {
  EdgeSettings settings;
  return settings_markdown("Edge and shield: `breakwater edge --config FILE`",
                           [&settings](SettingGroup& g) { settings.declare(g); });
}

}  // namespace bw::edge
