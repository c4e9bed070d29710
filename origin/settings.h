// Settings of the origin: those of every program and the keys of [origin], from a file, from flags,
// or both.
//
// Plain values with their defaults. Errors: all at once, in Diagnostics. See: docs/settings.md,
// which is printed from here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "core/net/program_settings.h"
#include "origin/program.h"

namespace bw::origin {

struct ApiSettings {
  std::vector<std::string> listen;
  std::string admin;
  std::string store = "origin-store";
  std::string static_files;
  std::string data;
  uint32_t products = 10'000;
  std::string site;
  std::string control;
  std::string token_file;
  std::string ca;
  bool insecure = false;
  Duration delay{};
  void declare(SettingGroup& g);
};

struct OriginSettings : net::ApiProcessSettings {
  ApiSettings origin;  // its listeners and admin have joined the tables of these names
  void declare(SettingGroup& g);
};

// The file of `options.config`, if any, with the flags over it; true when nothing was wrong.
bool load_settings(const OriginOptions& options, OriginSettings& settings,
                   Diagnostics& diagnostics);

}  // namespace bw::origin
