// The reference origin API as a program: `breakwater origin`.
//
// Prints `listening on ADDR (http|https)` and `(admin)` on stdout when ready. Answers an exit code:
// 0 clean (SIGTERM, SIGINT), 1 failure with one line on stderr, 2 bad configuration. SIGHUP reads
// certificates and the admin token again; all else of the settings needs a restart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/settings.h"

namespace bw::origin {

// Flags as given, over the keys of the same names under [origin]; empty: not given.
struct OriginOptions {
  std::string config;               // file; empty: flags only
  std::vector<std::string> listen;  // ADDR or https://ADDR; over the file's
  std::string admin;
  std::string store;                // folder of the database
  std::string static_files;         // --static DIR
  std::string data;                 // FILE.jsonl
  std::optional<int64_t> products;  // how many are generated when the store is empty
  std::string site;                 // the name purges are published under
  std::string control;              // URL of the purge service; empty: nothing is published
  std::string token_file;
  std::string ca;     // trusted for an https control URL; empty: the system's
  std::string delay;  // before each answer, as "250ms"
};

int run(const OriginOptions& options);

// Reads the file as run() does; for `breakwater check`. False when `diagnostics` holds errors.
bool check_settings(const std::string& file, Diagnostics& diagnostics);
// The section of docs/settings.md.
std::string settings_document();

}  // namespace bw::origin
