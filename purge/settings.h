// All settings of the purge service, as config.md names them.
//
// Plain values with their defaults. See: docs/settings.md, which is printed from here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/quantity.h"
#include "core/base/settings.h"
#include "purge/program.h"

namespace bw::purge {

struct NodeSettings {
  std::string name = "purged";  // as status shows it
  Duration drain_timeout = std::chrono::seconds(5);
  void declare(SettingGroup& g);
};

struct TlsSettings {
  std::string min_version = "1.2";
  void declare(SettingGroup& g);
};

struct ListenSettings {
  std::string address;
  bool tls = false;
  void declare(SettingGroup& g);
};

struct CertificateSettings {
  std::string cert, key;
  void declare(SettingGroup& g);
};

struct AdminSettings {
  std::string listen;
  std::string token_file;
  void declare(SettingGroup& g);
};

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

struct LogSettings {
  enum class Level : uint8_t { debug, info, warning, error };
  Level level = Level::info;
  void declare(SettingGroup& g);
};

struct PurgedSettings {
  NodeSettings node;
  TlsSettings tls;
  std::vector<ListenSettings> listen;
  std::vector<CertificateSettings> certificates;
  std::optional<AdminSettings> admin;
  StoreSettings store;
  RegistrySettings registry;
  std::vector<SiteSettings> sites;
  std::vector<TokenSettings> tokens;
  LogSettings log;
  void declare(SettingGroup& g);
};

// The file of `options`, if any, with its flags over it; true when nothing was wrong.
bool load_purged_settings(const PurgedOptions& options, PurgedSettings& settings,
                          Diagnostics& diagnostics);

}  // namespace bw::purge
