#include "geo/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/base/log.h"

namespace bw::geo {
namespace {

constexpr size_t kMaxState = 4 << 20;

Status write_whole(const std::string& folder, const std::string& file, const std::string& text) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  const std::string part = file + ".part";
  const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return errno_error(errno, "state file");
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t put = ::write(fd, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    done += static_cast<size_t>(put);
  }
  const bool good = done == text.size() && ::fsync(fd) == 0;
  const int failed = errno;
  ::close(fd);
  if (!good) return errno_error(failed, "state file");
  if (::rename(part.c_str(), file.c_str()) != 0) return errno_error(errno, "state file");
  return {};
}

}  // namespace

struct StateFile::Shared : std::enable_shared_from_this<StateFile::Shared> {
  net::Loop& loop;
  Executor& executor;
  std::string folder;
  std::string file;
  std::optional<std::string> waiting;
  bool writing = false;
  bool failing = false;

  Shared(net::Loop& l, Executor& e, std::string f)
      : loop(l), executor(e), folder(std::move(f)), file(folder + "/health.json") {}

  void write() {
    if (writing || !waiting) return;
    writing = true;
    const Status queued = executor.submit(
        [self = shared_from_this(), text = std::move(*waiting), folder = folder, file = file] {
          const Status written = write_whole(folder, file, text);
          self->loop.post([self, written] { self->written(written); });
        });
    waiting.reset();
    if (!queued) writing = false;
  }
  void written(const Status& status) {
    writing = false;
    if (!status && !failing) log::error("state: " + file + ": " + describe(status.error()));
    failing = !status;
    write();
  }
};

StateFile::StateFile(net::Loop& loop, Executor& executor, std::string folder)
    : shared_(std::make_shared<Shared>(loop, executor, std::move(folder))) {}

std::string StateFile::load() const {
  std::ifstream in(shared_->file, std::ios::binary);
  std::string text;
  char block[4096];
  while (in.read(block, sizeof block), in.gcount() > 0 && text.size() < kMaxState) {
    text.append(block, static_cast<size_t>(in.gcount()));
  }
  return text;
}

void StateFile::save(std::string text) {
  shared_->waiting = std::move(text);
  shared_->write();
}

}  // namespace bw::geo
