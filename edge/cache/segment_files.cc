#include "edge/cache/segment_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace bw::edge {
namespace {

// What was written is pushed to the disk in steps of this size, so that the kernel's dirty pages
// never pile up to one long stall.
constexpr uint64_t kPushEvery = 8u << 20;

Error storage_error(int code, std::string_view text) {
  return errno_error(code, text, Error::Side::storage);
}

Error gone() {
  return Error{
      .kind = Error::Kind::not_found, .side = Error::Side::storage, .text = "segment was reused"};
}

}  // namespace

struct SegmentFiles::File {
  explicit File(int descriptor) : fd(descriptor) {}
  ~File() { ::close(fd); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  const int fd;
};

SegmentFiles::SegmentFiles(std::string folder, std::function<int()> write_fault,
                           std::function<int()> read_fault)
    : folder_(std::move(folder)),
      write_fault_(std::move(write_fault)),
      read_fault_(std::move(read_fault)) {}

std::string SegmentFiles::path(uint32_t slot) const {
  char name[16];
  std::snprintf(name, sizeof name, "/%06u", slot);
  return folder_ + name;
}

void SegmentFiles::reset(uint32_t slots, uint64_t segment_size) {
  std::vector<Slot> old;
  std::lock_guard lock(mutex_);
  old.swap(slots_);
  slots_.resize(slots);
  segment_size_ = segment_size;
}

uint32_t SegmentFiles::slots() const {
  std::lock_guard lock(mutex_);
  return static_cast<uint32_t>(slots_.size());
}

Status SegmentFiles::open(uint32_t slot) {
  const int fd = ::open(path(slot).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    Error error = storage_error(errno, "segment file cannot be opened");
    if (error.code == ENOENT) error.kind = Error::Kind::not_found;
    return error;
  }
  auto file = std::make_shared<const File>(fd);
  struct stat facts = {};
  if (::fstat(fd, &facts) != 0) return storage_error(errno, "segment file");
  if (!S_ISREG(facts.st_mode) || static_cast<uint64_t>(facts.st_size) < segment_size_) {
    return Error{.kind = Error::Kind::corrupt,
                 .side = Error::Side::storage,
                 .text = "segment file is too short"};
  }
  std::lock_guard lock(mutex_);
  slots_[slot].file = std::move(file);
  return {};
}

Status SegmentFiles::make(uint32_t slot, uint64_t spare) {
  if (write_fault_) {
    if (const int code = write_fault_(); code != 0) return storage_error(code, "segment file");
  }
  const int fd = ::open(path(slot).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return storage_error(errno, "segment file cannot be made");
  auto file = std::make_shared<const File>(fd);
  struct stat facts = {};
  if (::fstat(fd, &facts) != 0) return storage_error(errno, "segment file");
  if (!S_ISREG(facts.st_mode)) return storage_error(EIO, "segment file is no file");
  if (static_cast<uint64_t>(facts.st_size) > segment_size_ &&
      ::ftruncate(fd, static_cast<off_t>(segment_size_)) != 0) {
    return storage_error(errno, "segment file");
  }
  // A file that has all its blocks takes no more room.
  const uint64_t has = static_cast<uint64_t>(facts.st_blocks) * 512;
  if (has < segment_size_) {
    struct statvfs room = {};
    int code = 0;
    if (::fstatvfs(fd, &room) == 0 &&
        static_cast<uint64_t>(room.f_bavail) * room.f_frsize < segment_size_ - has + spare) {
      code = ENOSPC;
    }
    if (code == 0) code = ::posix_fallocate(fd, 0, static_cast<off_t>(segment_size_));
    if (code == EOPNOTSUPP || code == EINVAL) {
      code = ::ftruncate(fd, static_cast<off_t>(segment_size_)) == 0 ? 0 : errno;
    }
    if (code != 0) {
      ::unlink(path(slot).c_str());
      return storage_error(code, "no room for another segment");
    }
  }
  std::lock_guard lock(mutex_);
  slots_[slot].file = std::move(file);
  return {};
}

void SegmentFiles::assign(uint32_t slot, uint64_t sequence) {
  std::lock_guard lock(mutex_);
  slots_[slot].sequence = sequence;
}

bool SegmentFiles::carries(const Place& place) const {
  std::lock_guard lock(mutex_);
  return place.sequence != 0 && place.slot < slots_.size() &&
         slots_[place.slot].sequence == place.sequence;
}

std::shared_ptr<const SegmentFiles::File> SegmentFiles::file_of(const Place& place) const {
  std::lock_guard lock(mutex_);
  if (place.sequence == 0 || place.slot >= slots_.size() ||
      slots_[place.slot].sequence != place.sequence) {
    return nullptr;
  }
  return slots_[place.slot].file;
}

Status SegmentFiles::write(const Place& place, std::string_view bytes) {
  const std::shared_ptr<const File> file = file_of(place);
  BW_CHECK(file != nullptr && place.offset + bytes.size() <= segment_size_);
  if (write_fault_) {
    if (const int code = write_fault_(); code != 0) {
      return storage_error(code, "segment cannot be written");
    }
  }
  uint64_t at = place.offset;
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file->fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0) {
      if (errno == EINTR) continue;
      return storage_error(errno, "segment cannot be written");
    }
    at += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  const uint64_t from = place.offset / kPushEvery * kPushEvery;
  if (at / kPushEvery * kPushEvery > from) {
    // A wish only; an error of the disk comes back at the next write or read.
    [[maybe_unused]] const int wish = ::sync_file_range(
        file->fd, static_cast<off_t>(from), static_cast<off_t>(at / kPushEvery * kPushEvery - from),
        SYNC_FILE_RANGE_WRITE);
  }
  return {};
}

void SegmentFiles::remove(uint32_t slot) {
  std::shared_ptr<const File> file;
  {
    std::lock_guard lock(mutex_);
    file.swap(slots_[slot].file);
    slots_[slot].sequence = 0;
  }
  ::unlink(path(slot).c_str());
}

Status SegmentFiles::read(const Place& place, uint64_t skip, char* into, size_t size) const {
  const std::shared_ptr<const File> file = file_of(place);
  if (file == nullptr) return gone();
  if (read_fault_) {
    if (const int code = read_fault_(); code != 0) {
      return storage_error(code, "segment cannot be read");
    }
  }
  uint64_t at = place.offset + skip;
  while (size > 0) {
    const ssize_t got = ::pread(file->fd, into, size, static_cast<off_t>(at));
    if (got < 0) {
      if (errno == EINTR) continue;
      return storage_error(errno, "segment cannot be read");
    }
    if (got == 0) {
      return Error{.kind = Error::Kind::corrupt,
                   .side = Error::Side::storage,
                   .text = "segment file ends early"};
    }
    at += static_cast<uint64_t>(got);
    into += got;
    size -= static_cast<size_t>(got);
  }
  // Overwritten while it was read: the bytes are another segment's.
  if (!carries(place)) return gone();
  return {};
}

}  // namespace bw::edge
