#include "purge/registry_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace bw::purge {
namespace {

Error failed(std::string_view text) { return errno_error(errno, text, Error::Side::storage); }

// A descriptor that is closed whatever happens.
struct Descriptor {
  int fd;
  explicit Descriptor(int from) : fd(from) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

}  // namespace

Status write_registry_file(const std::string& path, std::string_view text) {
  const std::string beside = path + ".new";
  const Descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (file.fd < 0) return failed("the registry's file cannot be opened");
  while (!text.empty()) {
    const ssize_t written = ::write(file.fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("the registry's file cannot be written");
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (::fdatasync(file.fd) != 0) return failed("the registry's file cannot be synced");
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    return failed("the registry's file cannot be renamed");
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor names(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (names.fd < 0 || ::fsync(names.fd) != 0) return failed("the registry's folder isn't synced");
  return {};
}

}  // namespace bw::purge
