#include "core/net/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace bw::net {
namespace {

Error failed(std::string line, int code, std::string* why) {
  if (why != nullptr) {
    *why = std::move(line);
    if (code != 0) *why += std::string(": ") + std::strerror(code);
  }
  Error error = errno_error(code, "cannot drop privileges");
  if (code == 0) error.kind = Error::Kind::not_found;
  return error;
}

// getpwnam_r(3) and getgrnam_r(3) ask for room until it is enough.
template <typename Entry, typename LookUp>
int look_up(const std::string& name, Entry& entry, bool& found, std::vector<char>& room,
            LookUp call) {
  room.resize(4096);
  for (;;) {
    Entry* result = nullptr;
    const int code = call(name.c_str(), &entry, room.data(), room.size(), &result);
    if (code == ERANGE && room.size() < (1u << 20)) {
      room.resize(room.size() * 2);
      continue;
    }
    found = result != nullptr;
    return found ? 0 : code;
  }
}

}  // namespace

Status drop_privileges(const std::string& user, const std::string& group, std::string* why) {
  if (user.empty() || ::geteuid() != 0) return {};
  std::vector<char> room;
  passwd account{};
  bool found = false;
  int code = look_up(user, account, found, room, ::getpwnam_r);
  if (!found) return failed("no user " + user, code, why);
  const uid_t uid = account.pw_uid;
  gid_t gid = account.pw_gid;
  if (!group.empty()) {
    ::group entry{};
    code = look_up(group, entry, found, room, ::getgrnam_r);
    if (!found) return failed("no group " + group, code, why);
    gid = entry.gr_gid;
  }
  if (::initgroups(user.c_str(), gid) != 0)
    return failed("cannot set the groups of " + user, errno, why);
  if (::setresgid(gid, gid, gid) != 0) return failed("cannot become group of " + user, errno, why);
  if (::setresuid(uid, uid, uid) != 0) return failed("cannot become user " + user, errno, why);
  if (uid != 0 && ::setuid(0) == 0)
    return failed("user " + user + " can become root again", 0, why);
  return {};
}

uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

Status sd_notify(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return {};
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const size_t size = std::strlen(path);
  if ((path[0] != '/' && path[0] != '@') || size >= sizeof to.sun_path) {
    return Error{.kind = Error::Kind::malformed, .text = "NOTIFY_SOCKET is no socket's path"};
  }
  std::memcpy(to.sun_path, path, size);
  const bool abstract = path[0] == '@';
  if (abstract) to.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_error(errno, "cannot notify the supervisor");
  const size_t length = offsetof(sockaddr_un, sun_path) + size + (abstract ? 0 : 1);
  const ssize_t sent = ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                                reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(length));
  const int code = errno;
  ::close(fd);
  if (sent < 0) return errno_error(code, "cannot notify the supervisor");
  return {};
}

Status sd_notify_reloading() {
  // The supervisor compares it with its own clock, so this time is the system's, not a Clock's.
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t us = static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
  return sd_notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

}  // namespace bw::net
