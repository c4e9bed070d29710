#include "purge/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <system_error>

namespace bw::purge {
namespace {

Error storage_error(std::string_view text) {
  return errno_error(errno, text, Error::Side::storage);
}

class PosixLogFile final : public LogFile {
 public:
  PosixLogFile(int fd, int lock) : fd_(fd), lock_(lock) {}
  ~PosixLogFile() override {
    close(fd_);
    close(lock_);
  }

  Result<std::string> read_all() override {
    struct stat st {};
    if (fstat(fd_, &st) != 0) return storage_error("stat of the log");
    std::string bytes(static_cast<size_t>(st.st_size), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n =
          pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return storage_error("read of the log");
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    bytes.resize(done);
    return bytes;
  }

  Status write(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return storage_error("write of the log");
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return {};
  }

  Status sync() override {
    if (fdatasync(fd_) != 0) return storage_error("fdatasync of the log");
    return {};
  }

  Status truncate(uint64_t size) override {
    if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return storage_error("truncate of the log");
    return {};
  }

 private:
  int fd_;
  int lock_;
};

// A name is durable only when its folder is synced.
Status sync_folder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return storage_error("open of the log's folder");
  const int rc = fsync(fd);
  close(fd);
  if (rc != 0) return storage_error("sync of the log's folder");
  return {};
}

}  // namespace

Result<std::unique_ptr<LogFile>> open_log_folder(const std::string& folder, std::string* why) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  const auto fail = [&](const std::string& what, Error error) -> Error {
    if (why != nullptr) *why = what + ": " + std::strerror(error.code);
    return error;
  };
  if (code) {
    return fail("cannot make " + folder,
                errno_error(code.value(), "log folder", Error::Side::storage));
  }
  const std::string lock_path = folder + "/lock";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return fail("cannot open " + lock_path, storage_error("lock of the log"));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    Error error = storage_error("lock of the log");
    if (errno == EWOULDBLOCK) error.kind = Error::Kind::exists;
    close(lock);
    return fail(lock_path + " is held by another process", error);
  }
  const std::string path = folder + "/records.log";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) {
    Error error = storage_error("open of the log");
    close(lock);
    return fail("cannot open " + path, error);
  }
  auto file = std::make_unique<PosixLogFile>(fd, lock);
  if (Status synced = sync_folder(folder); !synced.ok()) {
    return fail("cannot sync " + folder, synced.error());
  }
  return std::unique_ptr<LogFile>(std::move(file));
}

}  // namespace bw::purge
