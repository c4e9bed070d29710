#include "core/net/socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

namespace bw::net {
namespace {

constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START
constexpr int kMaxPassed = 4096;

}  // namespace

void set_option(int fd, int level, int name, int value) {
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

Address local_address(int fd) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &size) != 0) return Address();
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw));
}

Address peer_address(int fd) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&raw), &size) != 0) return Address();
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw));
}

int take_socket_error(int fd) {
  int code = 0;
  socklen_t size = sizeof code;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

int find_passed_descriptor(std::string_view name, int type) {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  const char* names = std::getenv("LISTEN_FDNAMES");
  if (pid == nullptr || count == nullptr || std::to_string(getpid()) != pid) return -1;
  int passed = 0;
  std::from_chars(count, count + std::strlen(count), passed);
  std::string_view rest = names == nullptr ? std::string_view() : std::string_view(names);
  for (int i = 0; i < passed && i < kMaxPassed; ++i) {
    const size_t colon = rest.find(':');
    const std::string_view each = names == nullptr ? "unknown" : rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    if (each != name) continue;
    // One unit gives its stream and its datagram socket the same name.
    int found = 0;
    socklen_t size = sizeof found;
    const int fd = kFirstPassed + i;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &found, &size) == 0 && found == type) return fd;
  }
  return -1;
}

}  // namespace bw::net
