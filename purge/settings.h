// All settings of the purge service.
//
// Plain values with their defaults. See: docs/settings.md, which is printed from here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/quantity.h"
#include "core/base/settings.h"
#include "core/net/program_settings.h"
#include "purge/program.h"

namespace bw::purge {

struct StoreSettings {
  std::string path = "log";
  void declare(SettingGroup& g);
};

struct RegistrySettings {
  Duration heartbeat = std::chrono::seconds(1);
  Duration quarantine_after = std::chrono::seconds(30);
  Duration forget_after = std::chrono::hours(24);
  void declare(SettingGroup& g);
};

struct SiteSettings {
  std::string name;
  std::vector<std::string> hosts;
  Rate rate{1000, std::chrono::seconds(1)};
  uint64_t burst = 5000;
  uint64_t reserve = 10;
  void declare(SettingGroup& g);
};

struct TokenSettings {
  std::string name;
  std::string token_file;
  std::string hash;  // sha256:HEX
  std::vector<std::string> sites;
  std::vector<std::string> scopes;
  void declare(SettingGroup& g);
};

struct PurgedSettings : net::ApiProcessSettings {
  StoreSettings store;
  RegistrySettings registry;
  std::vector<SiteSettings> sites;
  std::vector<TokenSettings> tokens;
  void declare(SettingGroup& g);
};

// The file of `options`, if any, with its flags over it; true when nothing was wrong.
bool load_purged_settings(const PurgedOptions& options, PurgedSettings& settings,
                          Diagnostics& diagnostics);

}  // namespace bw::purge
