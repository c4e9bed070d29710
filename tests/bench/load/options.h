#pragma once
// What the command line asks of the load generator.

#include <cstdint>
#include <string>
#include <vector>

namespace bw::bench {

enum class Choice : uint8_t { one, each, zipf };  // of the next URL

struct Options {
  uint16_t port = 0;
  bool tls = false;
  bool h2 = false;
  uint32_t connections = 64;
  uint32_t depth = 1;  // requests of a connection on their way: pipelined, or streams
  std::string path = "/1024/one";
  std::string authority = "localhost";
  uint64_t objects = 0;  // more than one: PATH is their prefix, their number follows
  Choice choice = Choice::one;
  double zipf = 0.9;
  uint64_t requests = 0;  // 0: by time
  double seconds = 2;
  double warmup = 0.3;
  double rate = 0;  // requests a second, begun on time whatever the server does; 0: when answered
  bool close = false;     // a connection for each request
  bool idle = false;      // a request on each connection, then hold them until stdin ends
  uint32_t sample = 256;  // the bodies of one answer in so many are compared
  uint64_t seed = 1;
  int core = -1;
  std::vector<int> watch;  // processes whose CPU time in the measured window is told
};

// Says on stderr what is wrong and exits.
Options parse_options(int count, char** arguments);

}  // namespace bw::bench
