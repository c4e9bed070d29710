// `breakwater lab`: a whole CDN on loopback, from this one binary.
//
// Starts the origin API, the purge service, one shield, three edges and GeoDNS as processes of
// their own, each with a generated file in a temporary folder, TLS under a throw-away CA that is
// verified. Tells where each listens, plays a short story with real traffic, and stays until
// Ctrl-C; with `check` it asserts every step from outside and ends. Blocks; called from main before
// any other thread exists. Lifetime: children die with it, however it ends.
#pragma once

#include <cstdint>
#include <string>

namespace bw::cli {

struct LabOptions {
  bool check = false;  // `lab: N of N steps held` and 0, or the first that did not and 1
  bool keep = false;   // leaves the temporary folder, for a look at its files and logs
  std::string replay;  // a trace's file: replays it instead, and ends
  uint64_t max_object = 64 << 20;  // of a replay; larger ones are skipped and counted
};

// The process's exit code.
int run_lab(const LabOptions& options);

}  // namespace bw::cli
