// The purge service as a program: `breakwater purged`.
//
// Prints `listening on ADDR (http|https)` and `(admin)` on stdout when ready. Answers an exit code:
// 0 clean (SIGTERM, SIGINT), 1 failure with one line on stderr, 2 bad configuration. SIGHUP reads
// certificates and tokens again; all else of the settings needs a restart.
#pragma once

#include <string>
#include <vector>

#include "core/base/settings.h"

namespace bw::purge {

struct PurgedOptions {
  std::string config;               // file; empty: flags only
  std::vector<std::string> listen;  // ADDR or https://ADDR; over [[listen]]
  std::string admin;                // over [admin] listen
  std::string data;                 // over [store] path
  std::string token_file;           // one token with all scopes, over [[token]]
  std::vector<std::string> sites;   // NAME=HOST[,HOST]; over [[site]]
};

int run(const PurgedOptions& options);

// Reads the file as run() does; for `breakwater check`. False when `diagnostics` holds errors.
bool check_settings(const std::string& file, Diagnostics& diagnostics);
// The section of docs/settings.md.
std::string settings_document();

}  // namespace bw::purge
