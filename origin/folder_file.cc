#include "origin/folder_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace bw::origin {
namespace {

constexpr int kReading = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr int kFolder = O_PATH | O_DIRECTORY | O_CLOEXEC;

void close_keeping_errno(int fd) {
  const int fault = errno;
  ::close(fd);
  errno = fault;
}

}  // namespace

int open_below(const std::string& folder, const std::string& path) {
  const int root = ::open(folder.c_str(), kFolder);
  if (root < 0) return -1;
  open_how how{};
  how.flags = kReading;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const auto fd = static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
  close_keeping_errno(root);
  // An old kernel, or a sandbox that doesn't know the call.
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return open_below_without_links(folder, path);
  return fd;
}

int open_below_without_links(const std::string& folder, const std::string& path) {
  int at = ::open(folder.c_str(), kFolder);
  std::string_view rest = path;
  while (at >= 0) {
    const size_t slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    const int next = ::openat(at, name.c_str(), (last ? kReading : kFolder) | O_NOFOLLOW);
    close_keeping_errno(at);
    if (last) return next;
    at = next;
    rest.remove_prefix(slash + 1);
  }
  return -1;
}

}  // namespace bw::origin
