// Replay: a trace through edge and shield to the origin's /synthetic/, and what came of it.
//
// Threads: main; blocks until the trace's end.
#pragma once

#include <string>

#include "cli/lab/cast.h"
#include "cli/lab/trace.h"

namespace bw::cli {

struct ReplayOptions {
  std::string name;                // of the trace, for people
  uint64_t max_object = 64 << 20;  // larger are skipped and counted
  size_t together = 32;            // requests under way
};
// Prints hit ratios, fetches and latencies per tier. False: `why` holds a line.
bool replay(Lab& lab, Trace& trace, const ReplayOptions& options, std::string* why);

}  // namespace bw::cli
