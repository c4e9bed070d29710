#include "core/net/listener.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <vector>

#include "core/net/socket.h"
#include "core/net/udp.h"
#include "tests/support/temp_dir.h"

using namespace bw;
using namespace bw::net;

namespace {

int dial(const Address& to) {
  sockaddr_storage raw;
  const socklen_t size = to.to_sockaddr(raw);
  const int fd = ::socket(raw.ss_family, SOCK_STREAM, 0);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&raw), size) == 0);
  return fd;
}

ListenSocket open_at(const std::string& where, bool reuse_port = false) {
  std::string why;
  const Result<ListenSocket> socket = open_listen_socket(*Address::parse(where), reuse_port, &why);
  INFO(why);
  REQUIRE(socket.ok());
  return *socket;
}

// Accepts and closes; remembers who came.
struct Door {
  std::vector<Address> came;
  Listener listener;
  Door(Loop& loop, int fd)
      : listener(loop, fd, [this](int peer, const Address& from) {
          came.push_back(from);
          ::close(peer);
        }) {}
};

// Makes the process look as if systemd had started it with these names from descriptor 3 on.
struct Activation {
  Activation(int count, const std::string& names) {
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
  }
  ~Activation() {
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  }
};
// `name` for these descriptors, another for the rest.
std::string names_of(const std::vector<int>& fds, const std::string& name) {
  const int last = *std::max_element(fds.begin(), fds.end());
  std::string names;
  for (int i = 3; i <= last; ++i) {
    if (i > 3) names += ':';
    names += std::find(fds.begin(), fds.end(), i) == fds.end() ? "other" : name;
  }
  return names;
}
int count_of(const std::vector<int>& fds) { return *std::max_element(fds.begin(), fds.end()) - 2; }

}  // namespace

TEST_CASE("listener: accepts over IPv4, IPv6 and a UNIX path, and says who came") {
  test::TempDir dir;
  ManualClock clock;
  Loop loop(clock);
  for (const std::string& where :
       {std::string("127.0.0.1:0"), std::string("[::1]:0"), "unix:" + (dir / "s")}) {
    INFO(where);
    const ListenSocket socket = open_at(where);
    Door door(loop, socket.fd);
    const int client = dial(socket.address);
    loop.turn();
    REQUIRE(door.came.size() == 1);
    CHECK(door.came[0].loopback());
    if (socket.address.family() == Address::Family::ip)
      CHECK(door.came[0] == local_address(client));
    ::close(client);
  }
}

TEST_CASE("listener: [::] leaves the IPv4 port to others") {
  const ListenSocket v6 = open_at("[::]:0");
  const ListenSocket v4 = open_at("0.0.0.0:" + std::to_string(v6.address.port()));
  ::close(v6.fd);
  ::close(v4.fd);
}

TEST_CASE("listener: an address that cannot be had is told in one line") {
  const ListenSocket taken = open_at("127.0.0.1:0");
  std::string why;
  const auto refused = [&](const Address& address) {
    why.clear();
    return !open_listen_socket(address, false, &why).ok();
  };
  CHECK(refused(taken.address));
  CHECK(why == "cannot listen on " + taken.address.text() + ": bind: Address already in use");
  CHECK(refused(*Address::parse("192.0.2.1:0")));
  CHECK(why == "cannot listen on 192.0.2.1:0: bind: Cannot assign requested address");
  CHECK(refused(*Address::parse("unix:/no/such/directory/s")));
  CHECK(refused(*Address::parse("fd:none")));
  CHECK(why == "cannot listen on fd:none: no such descriptor was handed over");
  CHECK(refused(Address()));
  ::close(taken.fd);
  CHECK_FALSE(open_listen_socket(Address(), false, nullptr).ok());
}

TEST_CASE("listener: sockets of several loops share an address") {
  const ListenSocket first = open_at("127.0.0.1:0", true);
  const ListenSocket second = open_at(first.address.text(), true);
  CHECK(first.address == second.address);
  ::close(first.fd);
  ::close(second.fd);
}

TEST_CASE("listener: whoever shares an address is noticed by asking before") {
  const ListenSocket theirs = open_at("127.0.0.1:0", true);
  std::string why;
  CHECK_FALSE(listen_address_is_free(theirs.address, &why).ok());
  CHECK(why == "cannot listen on " + theirs.address.text() + ": bind: Address already in use");
  ::close(theirs.fd);
  CHECK(listen_address_is_free(theirs.address, &why).ok());
  CHECK(listen_address_is_free(*Address::parse("127.0.0.1:0"), &why).ok());
  CHECK(listen_address_is_free(*Address::parse("unix:/no/such/directory/s"), &why).ok());
}

TEST_CASE("listener: a UNIX path that is answered is not taken away") {
  test::TempDir dir;
  const ListenSocket living = open_at("unix:" + (dir / "s"));
  std::string why;
  CHECK_FALSE(open_listen_socket(living.address, false, &why).ok());
  ::close(living.fd);
  ::close(open_at("unix:" + (dir / "s")).fd);
}

TEST_CASE("listener: takes descriptors that were handed over, by name and kind") {
  ManualClock clock;
  Loop loop(clock);
  const ListenSocket stream = open_at("127.0.0.1:0");
  SECTION("a listening one") {
    const Activation activation(count_of({stream.fd}), names_of({stream.fd}, "web"));
    const ListenSocket taken = open_at("fd:web");
    CHECK(taken.fd != stream.fd);  // a copy, so that each loop may have one
    CHECK(taken.address == stream.address);
    Door door(loop, taken.fd);
    ::close(dial(stream.address));
    loop.turn();
    CHECK(door.came.size() == 1);
    std::string why;
    CHECK_FALSE(open_listen_socket(*Address::parse("fd:we"), false, &why).ok());
  }
  SECTION("stream and datagram under one name") {
    std::string why;
    const int bound = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_storage raw;
    const socklen_t size = stream.address.to_sockaddr(raw);
    REQUIRE(::bind(bound, reinterpret_cast<sockaddr*>(&raw), size) == 0);
    const std::vector<int> both{stream.fd, bound};
    const Activation activation(count_of(both), names_of(both, "dns"));
    ::close(open_at("fd:dns").fd);
    const auto udp = UdpSocket::open(
        loop, *Address::parse("fd:dns"), false, [](std::string_view, const Address&) {}, &why);
    INFO(why);
    REQUIRE(udp.ok());
    CHECK((*udp)->local() == stream.address);
    ::close(bound);
  }
  SECTION("one of another process, one that doesn't listen") {
    std::string why;
    const int plain = ::socket(AF_INET, SOCK_STREAM, 0);
    const Activation activation(count_of({plain}), names_of({plain}, "plain"));
    CHECK_FALSE(open_listen_socket(*Address::parse("fd:plain"), false, &why).ok());
    CHECK(why == "cannot listen on fd:plain: the descriptor does not listen: Invalid argument");
    ::setenv("LISTEN_PID", "1", 1);
    CHECK_FALSE(open_listen_socket(*Address::parse("fd:plain"), false, &why).ok());
    CHECK(why == "cannot listen on fd:plain: no such descriptor was handed over");
    ::close(plain);
  }
  ::close(stream.fd);
}

TEST_CASE("listener: out of descriptors it rests, then accepts who waited") {
  ManualClock clock;
  Loop loop(clock);
  const ListenSocket socket = open_at("127.0.0.1:0");
  Door door(loop, socket.fd);
  const int client = dial(socket.address);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int free = ::dup(client);
  ::close(free);
  const rlimit none{.rlim_cur = static_cast<rlim_t>(free), .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  loop.turn();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  for (int i = 0; i < 10; ++i) loop.turn();
  CHECK(door.came.empty());
  clock.advance(std::chrono::milliseconds(99));
  loop.turn();
  loop.turn();
  CHECK(door.came.empty());
  clock.advance(std::chrono::milliseconds(1));
  loop.turn();  // the rest ends
  loop.turn();
  CHECK(door.came.size() == 1);
  ::close(client);
}

TEST_CASE("listener: paused it leaves clients waiting") {
  ManualClock clock;
  Loop loop(clock);
  const ListenSocket socket = open_at("127.0.0.1:0");
  Door door(loop, socket.fd);
  door.listener.pause();
  const int client = dial(socket.address);
  for (int i = 0; i < 5; ++i) loop.turn();
  CHECK(door.came.empty());
  door.listener.resume();
  loop.turn();
  CHECK(door.came.size() == 1);
  ::close(client);
}
