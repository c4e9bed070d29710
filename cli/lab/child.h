// Child: a process of this same binary, started, read for its ready lines, and always ended by pid.
//
// Threads: the one that makes it, which must be the lab's main thread (children die with it).
// Blocks. Lifetime: the destructor kills what still runs.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace bw::cli {

class Child {
 public:
  // Runs `arguments` of this binary; stderr goes to `log_file` (appended).
  Child(std::string name, std::vector<std::string> arguments, std::string log_file);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Reads stdout until that many `listening on` lines came. False: `why` holds a line.
  bool wait_ready(size_t listeners, Duration within, std::string* why);
  // Whether it still runs.
  bool alive();
  // SIGTERM, and SIGKILL after `within`; the exit code, or -signal.
  int stop(Duration within);
  int kill();
  pid_t pid() const { return pid_; }
  const std::string& name() const { return name_; }

 private:
  int reap(bool wait);

  std::string name_;
  std::string log_file_;
  pid_t pid_ = -1;
  int out_ = -1;
  bool ended_ = false;
  int code_ = 0;
};

// Another program's whole output ("" when it cannot be run or fails): `dig`.
std::string output_of(const std::vector<std::string>& command);
// What the kernel says a process holds in memory, in bytes (VmRSS); 0: not known.
uint64_t resident_bytes(pid_t pid);

}  // namespace bw::cli
