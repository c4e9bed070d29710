#include "edge/node/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/log.h"

namespace bw::edge {
namespace {

constexpr size_t kPipeWrite = 4096;  // what a pipe that polls writable takes without blocking
constexpr auto kPause = std::chrono::milliseconds(50);
constexpr auto kLastWait = std::chrono::seconds(1);

class Sink final : public AccessSink {
 public:
  Sink(AccessLog::State& log) : log_(log) {}
  void write(const AccessRecord& record) override;
  void take(std::string& out) {
    const std::lock_guard lock(mutex_);
    out.swap(spool_);
  }

 private:
  AccessLog::State& log_;
  std::string line_;  // the worker's
  std::mutex mutex_;  // guards spool_
  std::string spool_;
};

}  // namespace

struct AccessLog::State {
  State(const LogSettings& given, Node who, const Clock& time)
      : settings(given), node(std::move(who)), clock(time) {}

  const LogSettings settings;
  const Node node;
  const Clock& clock;
  std::vector<std::unique_ptr<Sink>> sinks;
  std::atomic<uint64_t> dropped{0};
  std::atomic<bool> reopening{false};
  std::mutex mutex;  // guards stopping
  std::condition_variable stop_said;
  bool stopping = false;
  int fd = -1;
  bool regular = false;
  std::thread writer;

  bool to_stdout() const { return settings.access == "stdout"; }

  int open_file() const {
    if (to_stdout()) return ::dup(STDOUT_FILENO);
    return ::open(settings.access.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  }

  void use(int opened) {
    if (fd >= 0) ::close(fd);
    fd = opened;
    struct stat status {};
    regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  }

  bool stop_asked() {
    const std::lock_guard lock(mutex);
    return stopping;
  }

  // False when the time to stop ran out.
  bool write_all(std::string_view bytes) {
    std::optional<MonoTime> give_up;
    while (!bytes.empty()) {
      if (stop_asked()) {
        const MonoTime now = clock.mono();
        if (!give_up) give_up = now + kLastWait;
        if (now > *give_up) return false;
      }
      pollfd wait{fd, POLLOUT, 0};
      if (!regular && ::poll(&wait, 1, 100) == 0) continue;
      const size_t most = regular ? bytes.size() : std::min(bytes.size(), kPipeWrite);
      const ssize_t written = ::write(fd, bytes.data(), most);
      if (written > 0) {
        bytes.remove_prefix(static_cast<size_t>(written));
      } else if (written < 0 && errno != EINTR && errno != EAGAIN) {
        return false;
      }
    }
    return true;
  }

  void run() {
    std::string batch;
    bool failing = false;
    for (;;) {
      bool last = false;
      {
        std::unique_lock lock(mutex);
        last = stop_said.wait_for(lock, kPause, [this] { return stopping; });
      }
      if (reopening.exchange(false)) {
        const int opened = open_file();
        if (opened >= 0) {
          use(opened);
        } else {
          log::error("the access log " + settings.access + " cannot be opened anew");
        }
      }
      for (const std::unique_ptr<Sink>& sink : sinks) {
        batch.clear();
        sink->take(batch);
        if (batch.empty()) continue;
        const bool ok = write_all(batch);
        if (!ok) {
          const auto lines = static_cast<uint64_t>(std::count(batch.begin(), batch.end(), '\n'));
          dropped.fetch_add(lines, std::memory_order_relaxed);
          if (!failing) log::error("the access log cannot be written: lines are dropped");
        }
        failing = !ok;
      }
      if (last) return;
    }
  }
};

namespace {

void Sink::write(const AccessRecord& record) {
  line_.clear();
  if (log_.settings.format == LogSettings::Format::json) {
    append_json_line(line_, record, log_.node, log_.settings.client_address);
  } else {
    append_combined_line(line_, record, log_.settings.client_address);
  }
  const std::lock_guard lock(mutex_);
  if (spool_.size() + line_.size() > AccessLog::kSpool) {
    log_.dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  spool_ += line_;
}

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(const LogSettings& settings, Node node,
                                                   size_t sinks, const Clock& clock,
                                                   std::string* why) {
  auto state = std::make_unique<State>(settings, std::move(node), clock);
  const int fd = state->open_file();
  if (fd < 0) {
    const Error error = errno_error(errno, "cannot be opened");
    *why = "log.access: " + settings.access + ": " + describe(error);
    return error;
  }
  state->use(fd);
  for (size_t i = 0; i < sinks; ++i) state->sinks.push_back(std::make_unique<Sink>(*state));
  state->writer = std::thread([raw = state.get()] { raw->run(); });
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(state)));
}

AccessLog::AccessLog(std::unique_ptr<State> state) : state_(std::move(state)) {}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->stop_said.notify_all();
  state_->writer.join();
  ::close(state_->fd);
}

AccessSink& AccessLog::sink(size_t worker) { return *state_->sinks[worker]; }

void AccessLog::reopen() { state_->reopening = true; }

uint64_t AccessLog::dropped() const { return state_->dropped.load(std::memory_order_relaxed); }

}  // namespace bw::edge
