#include "geo/state_file.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "core/base/file.h"
#include "core/base/log.h"

namespace bw::geo {
namespace {

constexpr size_t kMaxState = 4 << 20;

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
          std::error_code ignored;  // told by the file that can't be made in it
          std::filesystem::create_directories(folder, ignored);
          const Status written = replace_file(file, text);
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
  Result<std::string> text = read_file(shared_->file, kMaxState);
  if (text.ok()) return *std::move(text);
  if (text.error().kind != Error::Kind::not_found) {
    log::warning("state: " + shared_->file + ": " + describe(text.error()) + "; begins anew");
  }
  return {};
}

void StateFile::save(std::string text) {
  shared_->waiting = std::move(text);
  shared_->write();
}

}  // namespace bw::geo
