#include "core/net/signals.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/check.h"

namespace bw::net {
namespace {

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int each : signals) BW_CHECK(sigaddset(&set, each) == 0);
  return set;
}

}  // namespace

void block_signals(std::initializer_list<int> signals) {
  const sigset_t set = set_of(signals);
  BW_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  // Writing to a peer that has gone is an error of that write.
  BW_CHECK(::signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

void unblock_all_signals() {
  sigset_t none;
  sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::signal(SIGPIPE, SIG_DFL);
}

struct Signals::State {
  State(Loop& loop, const sigset_t& set, UniqueFunction<void(int)> callback)
      : caught(std::move(callback)),
        fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)),
        watch(loop, fd, [this](uint8_t) { read_all(); }) {
    BW_CHECK(fd >= 0);
    watch.want(Watch::readable);
  }
  ~State() {
    watch.want(0);
    ::close(fd);
  }
  void read_all() {
    signalfd_siginfo info;
    while (::read(fd, &info, sizeof info) == sizeof info) {
      caught(static_cast<int>(info.ssi_signo));
    }
  }

  UniqueFunction<void(int)> caught;
  const int fd;
  Watch watch;
};

Signals::Signals(Loop& loop, std::initializer_list<int> signals, UniqueFunction<void(int)> caught)
    : state_(std::make_unique<State>(loop, set_of(signals), std::move(caught))) {}
Signals::~Signals() = default;

}  // namespace bw::net
