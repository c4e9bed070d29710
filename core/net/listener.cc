#include "core/net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/net/socket.h"

namespace bw::net {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptBatch = 64;
constexpr Duration kRest = std::chrono::milliseconds(100);

Error failed(const Address& address, int code, std::string_view what, std::string* why) {
  if (why != nullptr) {
    *why = "cannot listen on " + address.text() + ": " + std::string(what);
    if (code != 0) *why += std::string(": ") + std::strerror(code);
  }
  Error error = errno_error(code, "cannot listen");
  if (code == 0) error.kind = Error::Kind::not_found;
  return error;
}

// Whether a server answers on a UNIX path; one left by a dead process does not.
bool path_answers(const Address& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  sockaddr_storage raw;
  const socklen_t size = address.to_sockaddr(raw);
  const int result = ::connect(fd, reinterpret_cast<sockaddr*>(&raw), size);
  const int code = errno;
  ::close(fd);
  return result == 0 || code != ECONNREFUSED;
}

}  // namespace

Result<ListenSocket> open_listen_socket(const Address& address, bool reuse_port, std::string* why) {
  if (address.family() == Address::Family::none) {
    return failed(address, EINVAL, "no address", why);
  }
  if (address.family() == Address::Family::descriptor) {
    const int passed = find_passed_descriptor(address.path(), SOCK_STREAM);
    if (passed < 0) return failed(address, 0, "no such descriptor was handed over", why);
    // A copy, because several loops may ask for the same one.
    const int fd = ::fcntl(passed, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return failed(address, errno, "dup", why);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
      ::close(fd);
      return failed(address, EINVAL, "the descriptor does not listen", why);
    }
    return ListenSocket{.fd = fd, .address = local_address(fd)};
  }
  const bool unix_path = address.family() == Address::Family::unix_path;
  const bool v6 = !unix_path && address.ip().v6;
  const int family = unix_path ? AF_UNIX : v6 ? AF_INET6 : AF_INET;
  const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(address, errno, "socket", why);
  if (!unix_path) {
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (reuse_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (v6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  } else if (::access(address.path().c_str(), F_OK) == 0 && !path_answers(address)) {
    ::unlink(address.path().c_str());
  }
  sockaddr_storage raw;
  const socklen_t size = address.to_sockaddr(raw);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&raw), size) != 0 || ::listen(fd, kBacklog) != 0) {
    const int code = errno;
    ::close(fd);
    return failed(address, code, "bind", why);
  }
  return ListenSocket{.fd = fd, .address = local_address(fd)};
}

Status listen_address_is_free(const Address& address, std::string* why) {
  if (address.family() != Address::Family::ip || address.port() == 0) return {};
  const Result<ListenSocket> alone = open_listen_socket(address, false, why);
  if (!alone.ok()) return alone.error();
  ::close(alone->fd);
  return {};
}

struct Listener::State {
  State(Loop& owner, int listening, Accepted callback)
      : loop(owner),
        fd(listening),
        accepted(std::move(callback)),
        watch(owner, listening, [this](uint8_t) { accept_batch(); }),
        rest(owner, [this] { update(); }) {
    update();
  }
  ~State() {
    watch.want(0);
    ::close(fd);
  }

  void update() { watch.want(paused || rest.armed() ? 0 : Watch::readable); }

  void accept_batch() {
    // A batch, so that connections of this listener cannot starve what the loop already has.
    for (int i = 0; i < kAcceptBatch && !paused; ++i) {
      sockaddr_storage raw{};
      socklen_t size = sizeof raw;
      const int peer =
          ::accept4(fd, reinterpret_cast<sockaddr*>(&raw), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (peer >= 0) {
        accepted(peer, Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw)));
        continue;
      }
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        rest.arm(kRest);
        update();
        return;
      }
      // The peer may have gone while it waited (accept(2)); the next one may be well.
      if (errno == EAGAIN || errno == EBADF || errno == EINVAL) return;
    }
  }

  Loop& loop;
  int fd;
  Accepted accepted;
  Watch watch;
  Timer rest;
  bool paused = false;
};

Listener::Listener(Loop& loop, int fd, Accepted accepted)
    : state_(std::make_unique<State>(loop, fd, std::move(accepted))) {}
Listener::~Listener() = default;

void Listener::pause() {
  state_->paused = true;
  state_->update();
}
void Listener::resume() {
  state_->paused = false;
  state_->update();
}

void tell_listening(const Address& address, std::string_view kind) {
  std::printf("listening on %s (%.*s)\n", address.text().c_str(), static_cast<int>(kind.size()),
              kind.data());
  std::fflush(stdout);
}

}  // namespace bw::net
