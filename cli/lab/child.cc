#include "cli/lab/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "core/base/check.h"
#include "core/net/signals.h"

namespace bw::cli {
namespace {

using std::chrono::milliseconds;

MonoTime now() { return SystemClock().mono(); }

// The child's side of fork: async-signal-safe calls only.
[[noreturn]] void become(pid_t parent, int out, int errors, const char* program, char** arguments) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // the lab died before that was set
  ::setpgid(0, 0);                        // Ctrl-C is the lab's, which stops them in order
  net::unblock_all_signals();
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, 0);
  ::dup2(out, 1);
  ::dup2(errors, 2);
  ::execvp(program, arguments);
  ::_exit(127);
}

pid_t spawn(const std::string& program, const std::vector<std::string>& arguments, int out,
            int errors) {
  std::vector<std::string> copies = arguments;
  std::vector<char*> raw;
  for (std::string& one : copies) raw.push_back(one.data());
  raw.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(parent, out, errors, program.c_str(), raw.data());
  return pid;
}

std::string last_line(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::string last;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

}  // namespace

Child::Child(std::string name, std::vector<std::string> arguments, std::string log_file)
    : name_(std::move(name)), log_file_(std::move(log_file)) {
  int ends[2];
  BW_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  const int errors = ::open(log_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  arguments.insert(arguments.begin(), "breakwater");
  pid_ = spawn("/proc/self/exe", arguments, ends[1], errors >= 0 ? errors : 2);
  ::close(ends[1]);
  if (errors >= 0) ::close(errors);
  out_ = ends[0];
  if (pid_ < 0) ended_ = true;
}

Child::~Child() {
  kill();
  ::close(out_);
}

bool Child::wait_ready(size_t listeners, Duration within, std::string* why) {
  const MonoTime end = now() + within;
  std::string text;
  size_t seen = 0;
  while (seen < listeners) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - now()).count();
    pollfd ready{.fd = out_, .events = POLLIN, .revents = 0};
    const int polled = left > 0 ? ::poll(&ready, 1, static_cast<int>(left)) : 0;
    if (polled < 0 && errno == EINTR) continue;
    char block[4096];
    const ssize_t got = polled > 0 ? ::read(out_, block, sizeof block) : 0;
    if (got <= 0) {
      const std::string said = last_line(log_file_);
      *why = name_ + (polled > 0 ? " ended before it was ready" : " did not get ready in time") +
             (said.empty() ? "" : ": " + said);
      return false;
    }
    text.append(block, static_cast<size_t>(got));
    for (size_t line = text.find('\n'); line != std::string::npos; line = text.find('\n')) {
      if (text.starts_with("listening on ")) ++seen;
      text.erase(0, line + 1);
    }
  }
  return true;
}

int Child::reap(bool wait) {
  while (!ended_) {
    int status = 0;
    const pid_t done = ::waitpid(pid_, &status, wait ? 0 : WNOHANG);
    if (done < 0 && errno == EINTR) continue;
    if (done == 0) break;
    ended_ = true;
    code_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
  return code_;
}

bool Child::alive() {
  reap(false);
  return !ended_;
}

int Child::stop(Duration within) {
  if (!alive()) return code_;
  ::kill(pid_, SIGTERM);
  const MonoTime end = now() + within;
  while (alive()) {
    if (now() >= end) return kill();
    std::this_thread::sleep_for(milliseconds(5));
  }
  return code_;
}

int Child::kill() {
  if (alive()) ::kill(pid_, SIGKILL);
  return reap(true);
}

std::string output_of(const std::vector<std::string>& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t pid = spawn(command.front(), command, ends[1], 2);
  ::close(ends[1]);
  std::string text;
  char block[4096];
  for (;;) {
    const ssize_t got = ::read(ends[0], block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(block, static_cast<size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  while (pid > 0 && ::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : std::string();
}

uint64_t resident_bytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace bw::cli
