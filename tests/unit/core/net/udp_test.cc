#include "core/net/udp.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <vector>

#include "core/net/socket.h"

using namespace bw;
using namespace bw::net;

namespace {

// A blocking socket of the test's own.
struct Asker {
  int fd;
  explicit Asker(const Address& to) : fd(::socket(to.ip().v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_storage raw;
    const socklen_t size = to.to_sockaddr(raw);
    // Connected: answers from any other address are not received.
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&raw), size) == 0);
  }
  ~Asker() { ::close(fd); }
  void ask(std::string_view packet) {
    REQUIRE(::send(fd, packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
  }
  std::string answer() {
    char block[65'536];
    const ssize_t n = ::recv(fd, block, sizeof block, MSG_DONTWAIT);
    return n < 0 ? std::string("(none)") : std::string(block, static_cast<size_t>(n));
  }
};

struct Fixture {
  SystemClock clock;
  Loop loop{clock};
  std::unique_ptr<UdpSocket> socket;
  std::vector<std::string> got;

  void open(const std::string& where) {
    std::string why;
    auto opened = UdpSocket::open(
        loop, *Address::parse(where), false,
        [this](std::string_view packet, const Address& from) {
          got.emplace_back(packet);
          socket->send(from, "re: " + std::string(packet.substr(0, 20)));
        },
        &why);
    INFO(why);
    REQUIRE(opened.ok());
    socket = std::move(*opened);
  }
  Address at(const std::string& ip) { return Address(*Ip::parse(ip), socket->local().port()); }
  void until(const std::function<bool()>& done) {
    for (int i = 0; i < 10'000 && !done(); ++i) loop.turn(true);
    REQUIRE(done());
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "udp: answers come from the address that was asked") {
  const struct {
    const char* bound;
    std::vector<const char*> asked;
  } rows[] = {
      {"127.0.0.1:0", {"127.0.0.1"}},
      {"0.0.0.0:0", {"127.0.0.1", "127.0.0.2", "127.0.0.77"}},
      {"[::1]:0", {"::1"}},
      {"[::]:0", {"::1"}},
  };
  for (const auto& row : rows) {
    open(row.bound);
    for (const char* ip : row.asked) {
      INFO(row.bound << " asked at " << ip);
      got.clear();
      Asker asker(at(ip));
      asker.ask(ip);
      until([&] { return got.size() == 1; });
      CHECK(asker.answer() == "re: " + std::string(ip));
    }
    socket.reset();
  }
}

TEST_CASE_METHOD(Fixture, "udp: hundreds of packets are answered, each to its asker") {
  open("127.0.0.1:0");
  std::vector<std::unique_ptr<Asker>> askers;
  for (int i = 0; i < 100; ++i) askers.push_back(std::make_unique<Asker>(socket->local()));
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < askers.size(); ++i) askers[i]->ask(std::to_string(i));
  }
  until([&] { return got.size() == 300; });
  for (size_t i = 0; i < askers.size(); ++i) {
    for (int round = 0; round < 3; ++round) {
      REQUIRE(askers[i]->answer() == "re: " + std::to_string(i));
    }
  }
  CHECK(socket->dropped_out() == 0);
}

TEST_CASE_METHOD(Fixture,
                 "udp: empty packets are packets, the longest passes, longer ones are counted") {
  open("127.0.0.1:0");
  Asker asker(socket->local());
  asker.ask("");
  asker.ask(std::string(UdpSocket::kMaxPacket + 1, 'x'));
  asker.ask(std::string(UdpSocket::kMaxPacket, 'y'));
  until([&] { return got.size() == 2; });
  CHECK(got[0].empty());
  CHECK(got[1].size() == UdpSocket::kMaxPacket);
  CHECK(socket->dropped_in() == 1);
}

TEST_CASE_METHOD(Fixture,
                 "udp: replies beyond the bound, and those the kernel refuses, are counted") {
  open("127.0.0.1:0");
  const Address nowhere(*Ip::parse("255.255.255.255"), 9);  // broadcast is not allowed
  Asker asker(socket->local());
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  REQUIRE(::getsockname(asker.fd, reinterpret_cast<sockaddr*>(&raw), &size) == 0);
  const Address back = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw));
  socket->send(nowhere, "refused");
  socket->send(back, "taken");
  loop.turn();
  CHECK(socket->dropped_out() == 1);
  CHECK(asker.answer() == "taken");
  for (size_t i = 0; i < UdpSocket::kMaxQueued + 7; ++i) socket->send(nowhere, "x");
  CHECK(socket->dropped_out() == 8);
  loop.turn();
  CHECK(socket->dropped_out() == 8 + UdpSocket::kMaxQueued);
}

TEST_CASE_METHOD(Fixture, "udp: a port that is taken is told in one line; loops may share one") {
  open("127.0.0.1:0");
  std::string why;
  const auto again = UdpSocket::open(loop, socket->local(), false, {}, &why);
  CHECK_FALSE(again.ok());
  CHECK(why ==
        "cannot listen on " + socket->local().text() + " (UDP): bind: Address already in use");
  const auto first = UdpSocket::open(loop, *Address::parse("127.0.0.1:0"), true, {}, &why);
  REQUIRE(first.ok());
  CHECK(UdpSocket::open(loop, (*first)->local(), true, {}, &why).ok());
  CHECK_FALSE(UdpSocket::open(loop, *Address::parse("unix:x"), true, {}, &why).ok());
}

TEST_CASE_METHOD(Fixture, "udp: retired inside its callback") {
  open("127.0.0.1:0");
  Asker asker(socket->local());
  bool called = false;
  auto opened = UdpSocket::open(loop, *Address::parse("127.0.0.1:0"), false,
                                [&](std::string_view, const Address& from) {
                                  called = true;
                                  socket->send(from, "bye");
                                  loop.retire(std::move(socket));
                                });
  socket = std::move(*opened);
  Asker last(socket->local());
  last.ask("x");
  until([&] { return called; });
  CHECK(last.answer() == "bye");
  for (int i = 0; i < 3; ++i) loop.turn();
}
