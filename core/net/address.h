// Where a socket listens or connects: IPv4, IPv6, a UNIX path, or a descriptor handed by systemd.
//
// Text: `IP:PORT`, `[IPv6]:PORT`, `unix:PATH`, `fd:NAME`. Values; no names are
// resolved.
#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bw::net {

// An IP address without a port. IPv4 is kept as IPv4; v4-mapped IPv6 is turned into IPv4.
struct Ip {
  std::array<uint8_t, 16> bytes{};  // network order; IPv4 in the first four
  bool v6 = false;

  static Result<Ip> parse(std::string_view text);
  std::string text() const;
  bool loopback() const;
  friend auto operator<=>(const Ip&, const Ip&) = default;
};

// `192.0.2.0/24`, `2001:db8::/32`; a bare address is a network of one.
struct Network {
  Ip base;
  uint8_t length = 0;  // bits

  static Result<Network> parse(std::string_view text);
  bool contains(const Ip& ip) const;
  std::string text() const;
};

class Address {
 public:
  enum class Family : uint8_t { none, ip, unix_path, descriptor };

  Address() = default;
  Address(Ip ip, uint16_t port) : family_(Family::ip), ip_(ip), port_(port) {}

  static Result<Address> parse(std::string_view text);
  static Address from_sockaddr(const sockaddr* raw);
  // Fills `out`, answers the length; 0 for a descriptor.
  socklen_t to_sockaddr(sockaddr_storage& out) const;

  Family family() const { return family_; }
  const Ip& ip() const { return ip_; }
  uint16_t port() const { return port_; }
  const std::string& path() const { return path_; }  // of unix:, or the name of fd:
  bool loopback() const;                             // loopback IP or UNIX path
  std::string text() const;
  friend auto operator<=>(const Address&, const Address&) = default;

 private:
  Family family_ = Family::none;
  Ip ip_;
  uint16_t port_ = 0;
  std::string path_;
};

}  // namespace bw::net
