// The bench's load generator: one thread, raw epoll.
#include <sched.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>

#include "tests/bench/load/runner.h"

int main(int count, char** arguments) {
  const bw::bench::Options options = bw::bench::parse_options(count, arguments);
  std::signal(SIGPIPE, SIG_IGN);
  if (options.core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<size_t>(options.core), &cores);
    sched_setaffinity(0, sizeof cores, &cores);
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  bw::bench::Runner runner(options);
  const char* fault = runner.run();
  std::printf("%s\n", runner.report(fault).c_str());
  return fault == nullptr ? 0 : 1;
}
