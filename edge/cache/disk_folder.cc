#include "edge/cache/disk_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/base/file.h"
#include "core/base/log.h"

namespace bw::edge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "breakwater disk tier 1\n";

Error storage_error(int code, std::string_view text) {
  return errno_error(code, text, Error::Side::storage);
}

Status write_synced(const std::string& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return storage_error(errno, "a file of the cache directory cannot be made");
  int code = 0;
  while (!bytes.empty() && code == 0) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) code = errno;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (code == 0 && ::fsync(fd) != 0) code = errno;
  if (::close(fd) != 0 && code == 0) code = errno;
  if (code != 0) return storage_error(code, "a file of the cache directory cannot be written");
  return {};
}

}  // namespace

DiskFolder::DiskFolder(std::string path, std::function<int()> write_fault, Clock& clock, int lock)
    : path_(std::move(path)), write_fault_(std::move(write_fault)), clock_(clock), lock_(lock) {}

DiskFolder::~DiskFolder() { ::close(lock_); }

Result<std::unique_ptr<DiskFolder>> DiskFolder::open(std::string path,
                                                     std::function<int()> write_fault, Clock& clock,
                                                     std::string* why) {
  const auto failed = [&](Error error, std::string text) {
    if (why != nullptr) *why = path + ": " + text;
    return error;
  };
  std::error_code made;
  fs::create_directories(path, made);
  const int lock = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0) {
    const int code = made ? made.value() : errno;
    return failed(storage_error(code, "cache directory"),
                  std::string("the cache directory cannot be used: ") + std::strerror(code));
  }
  std::unique_ptr<DiskFolder> folder(
      new DiskFolder(std::move(path), std::move(write_fault), clock, lock));
  path = folder->path_;
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    if (code == EWOULDBLOCK) {
      return failed(Error{.kind = Error::Kind::busy,
                          .side = Error::Side::storage,
                          .text = "cache directory in use"},
                    "another process uses this cache directory");
    }
    return failed(storage_error(code, "cache directory cannot be locked"),
                  std::string("the cache directory cannot be locked: ") + std::strerror(code));
  }
  const Status writable = folder->probe();
  if (!writable.ok()) {
    const int code = writable.error().code;
    if (code == EACCES || code == EPERM || code == EROFS) {
      return failed(writable.error(),
                    std::string("the cache directory cannot be written: ") + std::strerror(code));
    }
  }
  return folder;
}

Status DiskFolder::allowed() const {
  const int code = write_fault_ ? write_fault_() : 0;
  if (code != 0) return storage_error(code, "cache directory cannot be written");
  return {};
}

Status DiskFolder::prepare() {
  const Result<std::string> format = read_file(path_ + "/format", kFormat.size());
  if (!format.ok() || *format != kFormat) {
    for (const char* name : {"index", "segments", "format"}) {
      const Status moved = set_aside(name, "it has another format");
      if (!moved.ok()) return moved;
    }
    const Status may = allowed();
    if (!may.ok()) return may;
    if (const Status written = replace_file(path_ + "/format", kFormat); !written.ok()) {
      return written;
    }
  }
  for (const char* name : {"index", "segments"}) {
    std::error_code code;
    const fs::path folder = path_ + "/" + name;
    if (fs::exists(folder, code) && !fs::is_directory(folder, code)) {
      const Status moved = set_aside(name, "it is no folder");
      if (!moved.ok()) return moved;
    }
    const Status may = allowed();
    if (!may.ok()) return may;
    fs::create_directory(folder, code);
    if (code) return storage_error(code.value(), "folder of the cache directory");
  }
  return {};
}

Status DiskFolder::set_aside(std::string_view name, std::string_view reason) {
  const std::string from = path_ + "/" + std::string(name);
  std::error_code code;
  if (!fs::exists(fs::symlink_status(from, code))) return {};
  const Status may = allowed();
  if (!may.ok()) return may;
  const time_t now = static_cast<time_t>(clock_.wall().seconds());
  struct tm parts = {};
  gmtime_r(&now, &parts);
  char time[32];
  strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", &parts);
  std::string folder;
  for (int i = 0;; ++i) {
    folder = path_ + "/set-aside-" + time + "-" + std::to_string(i);
    if (fs::create_directory(folder, code)) break;
    if (code) return storage_error(code.value(), "a folder to set things aside");
  }
  const std::string to = folder + "/" + fs::path(from).filename().string();
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return storage_error(errno, "something in the cache directory cannot be set aside");
  }
  log::warning("disk tier: " + from + " was moved to " + folder + ": " + std::string(reason));
  return {};
}

Status DiskFolder::remove(std::string_view name) {
  const Status may = allowed();
  if (!may.ok()) return may;
  const std::string from = path_ + "/" + std::string(name);
  const std::string gone = from + ".gone";
  std::error_code code;
  fs::remove_all(gone, code);
  // At once, so that no part of it is found again.
  if (!code && ::rename(from.c_str(), gone.c_str()) != 0 && errno != ENOENT) {
    return storage_error(errno, "something in the cache directory cannot be removed");
  }
  const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  const int fault = errno;
  if (folder >= 0) ::close(folder);
  if (!synced) return storage_error(fault, "sync of the cache directory");
  if (!code) fs::remove_all(gone, code);
  if (code) return storage_error(code.value(), "something in the cache directory");
  return {};
}

Status DiskFolder::probe() {
  const Status may = allowed();
  if (!may.ok()) return may;
  const std::string path = path_ + "/probe";
  const std::string bytes(64u << 10, 'p');
  const Status written = write_synced(path, bytes);
  const Result<std::string> read = read_file(path, bytes.size());
  ::unlink(path.c_str());
  if (!written.ok()) return written;
  if (!read.ok() || *read != bytes) {
    return storage_error(EIO, "the disk does not give back what was written");
  }
  return {};
}

}  // namespace bw::edge
