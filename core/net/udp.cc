#include "core/net/udp.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/net/socket.h"

namespace bw::net {
namespace {

constexpr size_t kBatch = 32;
constexpr int kBatchesPerTurn = 8;
constexpr int kKernelBuffer = 4 << 20;  // a burst waits rather than being lost, if the system lets
constexpr size_t kControl = CMSG_SPACE(sizeof(in6_pktinfo));

// Where a packet came to: a reply leaves from there.
struct Source {
  bool known = false;
  bool v6 = false;
  in_pktinfo v4{};
  in6_pktinfo v6_info{};
};

Source source_of(msghdr& message) {
  Source source;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      std::memcpy(&source.v4, CMSG_DATA(c), sizeof source.v4);
      source.v4.ipi_ifindex = 0;  // the routing table knows the way
      source.known = true;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      std::memcpy(&source.v6_info, CMSG_DATA(c), sizeof source.v6_info);
      if (!IN6_IS_ADDR_LINKLOCAL(&source.v6_info.ipi6_addr)) source.v6_info.ipi6_ifindex = 0;
      source.known = source.v6 = true;
    }
  }
  return source;
}

void put_source(msghdr& message, char* control, const Source& source) {
  if (!source.known) return;
  const size_t size = source.v6 ? sizeof source.v6_info : sizeof source.v4;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(size);
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = source.v6 ? IPPROTO_IPV6 : IPPROTO_IP;
  c->cmsg_type = source.v6 ? IPV6_PKTINFO : IP_PKTINFO;
  c->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(c), source.v6 ? static_cast<const void*>(&source.v6_info) : &source.v4,
              size);
}

struct Reply {
  sockaddr_storage to;
  socklen_t to_size;
  size_t offset;  // in the bytes of the queue
  size_t size;
  Source source;
};

Error failed(const Address& address, int code, std::string_view what, std::string* why) {
  if (why != nullptr) {
    *why = "cannot listen on " + address.text() + " (UDP): " + std::string(what);
    if (code != 0) *why += std::string(": ") + std::strerror(code);
  }
  Error error = errno_error(code, "cannot listen");
  if (code == 0) error.kind = Error::Kind::not_found;
  return error;
}

bool is_any(const Address& address) {
  return address.family() == Address::Family::ip && address.ip().bytes == Ip{}.bytes;
}

}  // namespace

struct UdpSocket::State : std::enable_shared_from_this<State> {
  State(Loop& owner, int socket, Received callback)
      : loop(owner),
        fd(socket),
        local(local_address(socket)),
        received(std::move(callback)),
        watch(std::make_unique<Watch>(owner, socket, [this](uint8_t) { read_batches(); })),
        packets(std::make_unique<char[]>(kBatch * kMaxPacket)) {
    watch->want(Watch::readable);
  }
  ~State() { close(); }

  void close() {
    watch.reset();
    if (fd >= 0) ::close(fd);
    fd = -1;
  }

  void read_batches() {
    for (int i = 0; i < kBatchesPerTurn && fd >= 0; ++i) {
      if (read_batch() < kBatch) return;
    }
  }

  size_t read_batch() {
    std::array<mmsghdr, kBatch> messages{};
    std::array<iovec, kBatch> segments;
    std::array<sockaddr_storage, kBatch> from;
    alignas(cmsghdr) std::array<char[kControl], kBatch> control;
    for (size_t i = 0; i < kBatch; ++i) {
      segments[i] = {.iov_base = packets.get() + i * kMaxPacket, .iov_len = kMaxPacket};
      msghdr& m = messages[i].msg_hdr;
      m.msg_name = &from[i];
      m.msg_namelen = sizeof from[i];
      m.msg_iov = &segments[i];
      m.msg_iovlen = 1;
      m.msg_control = control[i];
      m.msg_controllen = kControl;
    }
    const int got = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (got <= 0) return 0;
    for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
      msghdr& m = messages[i].msg_hdr;
      if ((m.msg_flags & MSG_TRUNC) != 0) {
        ++dropped_in;
        continue;
      }
      const Address peer = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&from[i]));
      if (peer.port() == 0) {  // cannot be answered
        ++dropped_in;
        continue;
      }
      answering = Source(source_of(m));
      answering_to = &from[i];
      answering_peer = &peer;
      received({packets.get() + i * kMaxPacket, messages[i].msg_len}, peer);
      answering = Source();
      answering_peer = nullptr;
    }
    return static_cast<size_t>(got);
  }

  void send(const Address& to, std::string_view packet) {
    if (queue.size() >= kMaxQueued) {
      ++dropped_out;
      return;
    }
    Reply& reply = queue.emplace_back();
    if (answering_peer != nullptr && *answering_peer == to) {
      reply.to = *answering_to;  // with the interface of a link-local address
      reply.to_size = to.ip().v6 || local.ip().v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
      reply.source = answering;
    } else {
      reply.to_size = to.to_sockaddr(reply.to);
    }
    reply.offset = bytes.size();
    reply.size = packet.size();
    bytes += packet;
    if (queue.size() > 1) return;
    loop.at_turn_end([weak = weak_from_this()] {
      if (const std::shared_ptr<State> self = weak.lock()) self->flush();
    });
  }

  void flush() {
    std::array<mmsghdr, kBatch> messages;
    std::array<iovec, kBatch> segments;
    alignas(cmsghdr) std::array<char[kControl], kBatch> control;
    size_t done = 0;
    while (done < queue.size() && fd >= 0) {
      const size_t count = std::min(kBatch, queue.size() - done);
      for (size_t i = 0; i < count; ++i) {
        Reply& reply = queue[done + i];
        segments[i] = {.iov_base = bytes.data() + reply.offset, .iov_len = reply.size};
        messages[i] = mmsghdr{};
        msghdr& m = messages[i].msg_hdr;
        m.msg_name = &reply.to;
        m.msg_namelen = reply.to_size;
        m.msg_iov = &segments[i];
        m.msg_iovlen = 1;
        std::memset(control[i], 0, kControl);
        put_source(m, control[i], reply.source);
      }
      const int sent = ::sendmmsg(fd, messages.data(), static_cast<unsigned>(count),
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) {
        done += static_cast<size_t>(sent);
      } else if (errno == EAGAIN || errno == ENOBUFS) {
        break;  // waiting would only make the answers late
      } else if (errno != EINTR) {
        ++done;  // this one cannot be sent, the next may
        ++dropped_out;
      }
    }
    dropped_out += queue.size() - done;
    queue.clear();
    bytes.clear();
  }

  Loop& loop;
  int fd;
  const Address local;
  Received received;
  std::unique_ptr<Watch> watch;
  const std::unique_ptr<char[]> packets;
  Source answering;
  const sockaddr_storage* answering_to = nullptr;
  const Address* answering_peer = nullptr;  // set inside `received`
  std::vector<Reply> queue;
  std::string bytes;
  uint64_t dropped_in = 0;
  uint64_t dropped_out = 0;
};

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(Loop& loop, const Address& address,
                                                   bool reuse_port, Received received,
                                                   std::string* why) {
  int fd = -1;
  if (address.family() == Address::Family::descriptor) {
    const int passed = find_passed_descriptor(address.path(), SOCK_DGRAM);
    if (passed < 0) return failed(address, 0, "no such descriptor was handed over", why);
    fd = ::fcntl(passed, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return failed(address, errno, "dup", why);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  } else if (address.family() == Address::Family::ip) {
    const int family = address.ip().v6 ? AF_INET6 : AF_INET;
    fd = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed(address, errno, "socket", why);
    if (reuse_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.ip().v6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    sockaddr_storage raw;
    const socklen_t size = address.to_sockaddr(raw);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&raw), size) != 0) {
      const int code = errno;
      ::close(fd);
      return failed(address, code, "bind", why);
    }
  } else {
    return failed(address, EAFNOSUPPORT, "not an IP address", why);
  }
  const Address local = local_address(fd);
  const bool v6 = local.ip().v6;
  if (is_any(local)) {
    set_option(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
  }
  // A forged "fragmentation needed" must not make us send fragments (RFC 9715 3.1).
  if (v6) {
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
  } else {
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
  }
  set_option(fd, SOL_SOCKET, SO_RCVBUF, kKernelBuffer);
  set_option(fd, SOL_SOCKET, SO_SNDBUF, kKernelBuffer);
  return std::unique_ptr<UdpSocket>(
      new UdpSocket(std::make_shared<State>(loop, fd, std::move(received))));
}

UdpSocket::UdpSocket(std::shared_ptr<State> state) : state_(std::move(state)) {}
UdpSocket::~UdpSocket() { state_->close(); }
void UdpSocket::send(const Address& to, std::string_view packet) { state_->send(to, packet); }
const Address& UdpSocket::local() const { return state_->local; }
uint64_t UdpSocket::dropped_in() const { return state_->dropped_in; }
uint64_t UdpSocket::dropped_out() const { return state_->dropped_out; }

}  // namespace bw::net
