#include "core/net/socket.h"

#include <sys/socket.h>

#include <cerrno>

namespace bw::net {

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

}  // namespace bw::net
