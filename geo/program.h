// The GeoDNS program: sends a client to a healthy near POP.
//
// See: geo/responder.h for how a query is answered.
#pragma once

#include <string>
#include <vector>

namespace bw::geo {

struct GeodnsOptions {
  std::string config_file;
  std::vector<std::string> listen;  // instead of the file's, when not empty
  std::string admin;                // instead of the file's, when not empty
};

// Runs until SIGTERM or SIGINT; the process's exit code: 0 clean, 1 failure, 2 configuration.
int run(const GeodnsOptions& options);

}  // namespace bw::geo
