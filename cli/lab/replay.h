// Replay: a trace through edge and shield to the origin's /synthetic/, and what came of it.
//
// Threads: main; blocks until the trace's end.
#pragma once

#include <string>

#include "cli/lab/cast.h"

namespace bw::cli {

struct ReplayOptions {
  std::string file;
  uint64_t max_object = 64 << 20;  // larger are skipped and counted
  size_t together = 32;            // requests under way
};
// Prints hit ratios, fetches and latencies per tier. False: `why` holds a line.
bool replay(Lab& lab, const ReplayOptions& options, std::string* why);

}  // namespace bw::cli
