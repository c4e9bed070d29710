#include "core/base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/base/descriptor.h"

namespace bw {
namespace {

Error failed(int code, std::string_view text) {
  Error error = errno_error(code, text, Error::Side::storage);
  if (code == ENOENT) error.kind = Error::Kind::not_found;
  return error;
}

Status write_new(const std::string& path, std::string_view bytes, mode_t mode) {
  ::unlink(path.c_str());  // a left-over may have another mode
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.get() < 0) return failed(errno, "file cannot be made");
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(errno, "file cannot be written");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(file.get()) != 0) return failed(errno, "file cannot be synced");
  return {};
}

Status sync_folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor names(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (names.get() < 0 || ::fsync(names.get()) != 0) return failed(errno, "folder cannot be synced");
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t most) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return failed(errno, "file cannot be opened");
  std::string bytes;
  char block[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno, "file cannot be read");
    if (got == 0) return bytes;
    if (static_cast<size_t>(got) > most - bytes.size()) {
      return Error{.kind = Error::Kind::too_large,
                   .side = Error::Side::storage,
                   .text = "file is larger than allowed"};
    }
    bytes.append(block, static_cast<size_t>(got));
  }
}

Status replace_file(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string beside = path + ".new";
  Status done = write_new(beside, bytes, mode);
  if (done.ok() && ::rename(beside.c_str(), path.c_str()) != 0) {
    done = failed(errno, "file cannot be renamed");
  }
  if (!done.ok()) {
    ::unlink(beside.c_str());
    return done;
  }
  return sync_folder_of(path);
}

}  // namespace bw
