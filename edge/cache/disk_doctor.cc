// The writer's other half: opening the disk, and opening it again after a failure.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

#include "core/base/log.h"
#include "edge/cache/disk_writer.h"

namespace bw::edge {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCatalogueFaults = 5;

bool is_segment_name(const std::string& name) {
  return name.size() >= 6 && name.size() <= 9 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool DiskWriter::doctor() {
  // Nobody may store or find while files change under them.
  incarnation_.fetch_add(1, std::memory_order_acq_rel);
  shared_.catalogue.close();
  if (shared_.health.state() == DiskState::full) give_back_room();
  shared_.health.opening();
  std::string why;
  const Status opened = open_disk(&why);
  if (!opened.ok()) {
    shared_.health.fail(state_after(opened.error()), why.empty() ? describe(opened.error()) : why);
    return false;
  }
  if (was_open_) {
    shared_.reopened.fetch_add(1, std::memory_order_relaxed);
    log::info("disk tier: serving again");
  }
  was_open_ = true;
  shared_.health.recover();
  const std::lock_guard lock(mutex_);
  if (!make_empty_) return true;
  shared_.health.fail(DiskState::failed, "more is to go than is remembered: it is made empty");
  return false;
}

Status DiskWriter::make_empty() {
  {
    const std::lock_guard lock(mutex_);
    if (!make_empty_) return {};
  }
  const Status moved = folder_->remove("index");
  if (!moved.ok()) return moved;
  const Status made = folder_->prepare();
  if (!made.ok()) return made;
  log::warning("disk tier: more was to go while it was off than is remembered: it begins empty");
  const std::lock_guard lock(mutex_);
  make_empty_ = false;
  return {};
}

Status DiskWriter::open_disk(std::string* why) {
  const Status prepared = folder_->prepare();
  if (!prepared.ok()) return prepared;
  const Status probed = folder_->probe();
  if (!probed.ok()) return probed;
  const Status emptied = make_empty();
  if (!emptied.ok()) return emptied;
  const Status tidied = tidy_segments();
  if (!tidied.ok()) return tidied;
  const Status opened = open_catalogue(why);
  if (!opened.ok()) return opened;
  return ring_.load();
}

Status DiskWriter::open_catalogue(std::string* why) {
  Status opened = shared_.catalogue.open(why);
  bool damaged = !opened.ok() && opened.error().kind == Error::Kind::corrupt;
  // Rows that couldn't be read: opening doesn't look at them.
  damaged = shared_.catalogue_faults.exchange(0) > kCatalogueFaults || damaged;
  if (opened.ok()) {
    const auto segments = shared_.catalogue.segments();
    damaged = damaged || (!segments.ok() && segments.error().kind == Error::Kind::corrupt);
  }
  // The disk itself took and gave back a probe: what fails twice then is the catalogue.
  if (!opened.ok() && opened.error().kind == Error::Kind::io) damaged = ++index_failures_ >= 2;
  if (!damaged) {
    if (opened.ok()) index_failures_ = 0;
    return opened;
  }
  index_failures_ = 0;
  shared_.catalogue.close();
  const Status moved = folder_->set_aside("index", "the catalogue is damaged: " + *why);
  if (!moved.ok()) return moved;
  const Status made = folder_->prepare();
  if (!made.ok()) return made;
  return shared_.catalogue.open(why);
}

Status DiskWriter::tidy_segments() {
  std::error_code code;
  std::vector<std::string> foreign;
  for (fs::directory_iterator at(folder_->segments(), code), end; !code && at != end;
       at.increment(code)) {
    const std::string name = at->path().filename().string();
    std::error_code ignored;
    if (!is_segment_name(name) || !fs::is_regular_file(at->symlink_status(ignored))) {
      foreign.push_back("segments/" + name);
    }
  }
  if (code) return errno_error(code.value(), "segments cannot be listed", Error::Side::storage);
  for (const std::string& name : foreign) {
    const Status moved = folder_->set_aside(name, "it is no segment");
    if (!moved.ok()) return moved;
  }
  return {};
}

void DiskWriter::give_back_room() {
  std::error_code code;
  std::optional<fs::path> oldest;
  fs::file_time_type oldest_time;
  for (fs::directory_iterator at(folder_->segments(), code), end; !code && at != end;
       at.increment(code)) {
    std::error_code ignored;
    if (!is_segment_name(at->path().filename().string())) continue;
    const auto time = at->last_write_time(ignored);
    if (ignored || (oldest.has_value() && time >= oldest_time)) continue;
    oldest = at->path();
    oldest_time = time;
  }
  if (!oldest.has_value()) return;
  shared_.files.reset(0, 0);  // a file that is open keeps its room
  ::unlink(oldest->c_str());
  shared_.evicted_segments.fetch_add(1, std::memory_order_relaxed);
  log::warning("disk tier: no room: " + oldest->string() + " was given back");
}

}  // namespace bw::edge
