#include "core/net/address.h"

#include <netinet/in.h>

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::net;

TEST_CASE("address: texts that are addresses, and how they are shown") {
  const struct {
    const char* text;
    Address::Family family;
    const char* shown;
    bool loopback;
  } rows[] = {
      {"192.0.2.1:80", Address::Family::ip, "192.0.2.1:80", false},
      {"0.0.0.0:0", Address::Family::ip, "0.0.0.0:0", false},
      {"127.9.9.9:65535", Address::Family::ip, "127.9.9.9:65535", true},
      {"[::1]:443", Address::Family::ip, "[::1]:443", true},
      {"[2001:DB8:0::1]:53", Address::Family::ip, "[2001:db8::1]:53", false},
      {"[::ffff:127.0.0.1]:80", Address::Family::ip, "127.0.0.1:80", true},
      {"unix:run/x.sock", Address::Family::unix_path, "unix:run/x.sock", true},
      {"fd:web", Address::Family::descriptor, "fd:web", false},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const Result<Address> address = Address::parse(row.text);
    REQUIRE(address.ok());
    CHECK(address->family() == row.family);
    CHECK(address->text() == row.shown);
    CHECK(address->loopback() == row.loopback);
  }
}

TEST_CASE("address: texts that are none") {
  for (const char* text : {"",
                           "192.0.2.1",
                           "192.0.2.1:",
                           ":80",
                           "192.0.2.1:65536",
                           "192.0.2.1:-1",
                           "192.0.2.1:+1",
                           "192.0.2.1:80 ",
                           "192.0.2:80",
                           "192.0.2.256:80",
                           "010.0.0.1:80",
                           "2001:db8::1:80",
                           "[192.0.2.1]:80",
                           "[::1]",
                           "[::1]80",
                           "[]:80",
                           "localhost:80",
                           "unix:",
                           "fd:",
                           "[fe80::1%eth0]:80",
                           "192.0.2.1:000080"}) {
    INFO(text);
    CHECK_FALSE(Address::parse(text).ok());
  }
  CHECK_FALSE(Address::parse("unix:" + std::string(108, 'x')).ok());
  CHECK(Address::parse("unix:" + std::string(107, 'x')).ok());
  CHECK_FALSE(Address::parse(std::string("unix:a\0b", 8)).ok());
}

TEST_CASE("address: there and back through a sockaddr") {
  for (const char* text : {"192.0.2.1:80", "[2001:db8::1]:53", "unix:a/b"}) {
    sockaddr_storage raw;
    const Address address = *Address::parse(text);
    CHECK(address.to_sockaddr(raw) > 0);
    CHECK(Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw)) == address);
  }
  sockaddr_storage raw;
  CHECK(Address::parse("fd:web")->to_sockaddr(raw) == 0);
  CHECK(Address().to_sockaddr(raw) == 0);
}

TEST_CASE("network: what it contains, and its canonical text") {
  const struct {
    const char* network;
    const char* text;
    const char* in;
    const char* out;
  } rows[] = {
      {"192.0.2.0/24", "192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
      {"192.0.2.77/25", "192.0.2.0/25", "192.0.2.127", "192.0.2.128"},
      {"192.0.2.7", "192.0.2.7/32", "192.0.2.7", "192.0.2.6"},
      {"0.0.0.0/0", "0.0.0.0/0", "255.1.2.3", "::1"},
      {"2001:db8::/33", "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
      {"::/0", "::/0", "2001:db8::1", "192.0.2.1"},
      {"::1", "::1/128", "::1", "::2"},
  };
  for (const auto& row : rows) {
    INFO(row.network);
    const Result<Network> network = Network::parse(row.network);
    REQUIRE(network.ok());
    CHECK(network->text() == row.text);
    CHECK(network->contains(*Ip::parse(row.in)));
    CHECK_FALSE(network->contains(*Ip::parse(row.out)));
  }
  for (const char* text : {"", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "::/129",
                           "192.0.2.0/24/1", "::ffff:192.0.2.0/120", "x/8"}) {
    INFO(text);
    CHECK_FALSE(Network::parse(text).ok());
  }
}
