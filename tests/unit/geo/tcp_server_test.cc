#include "geo/tcp_server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/geo/geo_world.h"

using namespace bw;
using namespace bw::geo;

namespace {

struct Desk {
  ManualClock clock;
  net::Loop loop{clock};
  metrics::Registry registry;
  DnsMetrics metrics{registry};
  RateTable rates{{0, std::chrono::seconds(1)}, 1};
  Responder responder{rates, metrics};
  std::unique_ptr<TcpServer> server;

  Desk() {
    const auto world = make_world();
    responder.set_snapshot({world, std::make_shared<Health>(all_up(*world))});
    server = std::make_unique<TcpServer>(loop, -1, responder, metrics);
  }
  ~Desk() {
    server.reset();
    turns();
  }
  void turns() {
    for (int i = 0; i < 6; ++i) loop.turn();
  }
  int connect(std::string_view from) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    server->accept(ends[0], net::Address(*net::Ip::parse(from), 1));
    return ends[1];
  }
  // All that came; "!" at the end when the other side closed.
  static std::string read(int fd) {
    std::string all;
    char block[65536];
    for (;;) {
      const ssize_t got = ::read(fd, block, sizeof block);
      if (got > 0) {
        all.append(block, size_t(got));
      } else {
        return got == 0 ? all + "!" : all;
      }
    }
  }
};

std::string query(uint16_t id, std::string_view name) {
  std::array<uint8_t, 300> out{};
  dns::MessageWriter writer(out, out.size());
  writer.set_id(id);
  REQUIRE(writer.add_question({.name = *dns::Name::parse(name), .type = dns::type::a}));
  const size_t size = writer.finish();
  std::string framed{char(size >> 8), char(size)};
  framed.append(reinterpret_cast<const char*>(out.data()), size);
  return framed;
}

void send(int fd, std::string_view bytes) {
  REQUIRE(::write(fd, bytes.data(), bytes.size()) == ssize_t(bytes.size()));
}

}  // namespace

TEST_CASE("DNS over TCP: queries in a row, in any pieces, each get their answer in order") {
  Desk desk;
  const int fd = desk.connect("203.0.113.1");
  const std::string both = query(1, "www.cdn.example") + query(2, "none.cdn.example");
  for (const char byte : both) {
    send(fd, {&byte, 1});
    desk.turns();
  }
  send(fd, query(3, "big.cdn.example") + query(4, "www.cdn.example"));
  desk.turns();
  std::string got = Desk::read(fd);
  std::vector<uint16_t> ids;
  while (got.size() >= 2) {
    const size_t size = size_t(uint8_t(got[0])) << 8 | uint8_t(got[1]);
    REQUIRE(got.size() >= 2 + size);
    ids.push_back(uint16_t(uint8_t(got[2]) << 8 | uint8_t(got[3])));
    got.erase(0, 2 + size);
  }
  CHECK(ids == std::vector<uint16_t>{1, 2, 3, 4});
  ::close(fd);
  desk.turns();
  CHECK(desk.server->clients() == 0);
}

TEST_CASE("DNS over TCP: garbage, silence and over-long queries close") {
  Desk desk;
  for (const std::string& bytes : {std::string("\xff\xff", 2), std::string("\0\3abc", 5)}) {
    const int fd = desk.connect("203.0.113.1");
    send(fd, bytes);
    desk.turns();
    CHECK(Desk::read(fd) == "!");
    ::close(fd);
    desk.turns();
  }
  CHECK(desk.server->clients() == 0);
}

TEST_CASE("DNS over TCP: five seconds without a whole query, and it's over") {
  Desk desk;
  const int fd = desk.connect("203.0.113.1");
  desk.turns();
  desk.clock.advance(std::chrono::seconds(4));
  send(fd, "\0");  // not a whole query: no new time
  desk.turns();
  CHECK(desk.server->clients() == 1);
  desk.clock.advance(std::chrono::seconds(2));
  desk.turns();
  CHECK(Desk::read(fd) == "!");
  CHECK(desk.server->clients() == 0);
  ::close(fd);
}

TEST_CASE("DNS over TCP: one address gets so many connections and no more") {
  Desk desk;
  std::vector<int> open;
  for (size_t i = 0; i < TcpServer::kMaxPerClient + 3; ++i) {
    open.push_back(desk.connect("203.0.113.1"));
  }
  CHECK(desk.server->clients() == TcpServer::kMaxPerClient);
  open.push_back(desk.connect("203.0.113.2"));
  CHECK(desk.server->clients() == TcpServer::kMaxPerClient + 1);
  for (const int fd : open) ::close(fd);
  desk.turns();
  CHECK(desk.server->clients() == 0);
  open = {desk.connect("203.0.113.1")};
  CHECK(desk.server->clients() == 1);
  ::close(open[0]);
}
