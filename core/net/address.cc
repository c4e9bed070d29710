#include "core/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace bw::net {
namespace {

constexpr Error malformed(std::string_view text) {
  return Error{.kind = Error::Kind::malformed, .text = text};
}

// Decimal digits only, at most `limit`.
Result<unsigned> parse_number(std::string_view text, unsigned limit, std::string_view what) {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || text.size() > 5) return malformed(what);
  const auto [rest, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc() || rest != end || value > limit) return malformed(what);
  return value;
}

Ip ip_of(const in6_addr& raw) {
  Ip ip;
  if (IN6_IS_ADDR_V4MAPPED(&raw)) {
    std::memcpy(ip.bytes.data(), raw.s6_addr + 12, 4);
  } else {
    std::memcpy(ip.bytes.data(), raw.s6_addr, 16);
    ip.v6 = true;
  }
  return ip;
}

}  // namespace

Result<Ip> Ip::parse(std::string_view text) {
  char copy[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof copy || text.find('\0') != std::string_view::npos) {
    return malformed("not an IP address");
  }
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  if (text.find(':') == std::string_view::npos) {
    Ip ip;
    if (inet_pton(AF_INET, copy, ip.bytes.data()) != 1) return malformed("not an IP address");
    return ip;
  }
  in6_addr raw{};
  if (inet_pton(AF_INET6, copy, &raw) != 1) return malformed("not an IP address");
  return ip_of(raw);
}

std::string Ip::text() const {
  char out[INET6_ADDRSTRLEN] = "";
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), out, sizeof out);
  return out;
}

bool Ip::loopback() const {
  if (!v6) return bytes[0] == 127;
  for (size_t i = 0; i < 15; ++i) {
    if (bytes[i] != 0) return false;
  }
  return bytes[15] == 1;
}

Result<Network> Network::parse(std::string_view text) {
  const size_t slash = text.find('/');
  Result<Ip> ip = Ip::parse(text.substr(0, slash));
  if (!ip) return ip.error();
  const unsigned width = ip->v6 ? 128 : 32;
  Network network{.base = *ip, .length = static_cast<uint8_t>(width)};
  if (slash == std::string_view::npos) return network;
  // A v4-mapped base became IPv4, whose length would have to be converted: refused instead.
  const bool mapped = !ip->v6 && text.find(':') != std::string_view::npos;
  if (mapped) return malformed("not a network");
  Result<unsigned> length = parse_number(text.substr(slash + 1), width, "not a network");
  if (!length) return length.error();
  network.length = static_cast<uint8_t>(*length);
  for (unsigned bit = network.length; bit < width; ++bit) {
    network.base.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
  }
  return network;
}

bool Network::contains(const Ip& ip) const {
  if (ip.v6 != base.v6) return false;
  const size_t whole = length / 8;
  if (std::memcmp(ip.bytes.data(), base.bytes.data(), whole) != 0) return false;
  const unsigned rest = length % 8;
  if (rest == 0) return true;
  const uint8_t mask = static_cast<uint8_t>(0xff00u >> rest);
  return ((ip.bytes[whole] ^ base.bytes[whole]) & mask) == 0;
}

std::string Network::text() const { return base.text() + "/" + std::to_string(length); }

Result<Address> Address::parse(std::string_view text) {
  Address address;
  if (text.starts_with("unix:") || text.starts_with("fd:")) {
    const bool unix_path = text[0] == 'u';
    address.family_ = unix_path ? Family::unix_path : Family::descriptor;
    address.path_ = text.substr(unix_path ? 5 : 3);
    if (address.path_.empty() || address.path_.find('\0') != std::string::npos) {
      return malformed("a unix: or fd: address needs a name");
    }
    if (unix_path && address.path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return malformed("the path of a unix: address is too long");
    }
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed("an address needs a port");
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (brackets != (host.find(':') != std::string_view::npos)) {
    return malformed("an IPv6 address stands in brackets");
  }
  Result<Ip> ip = Ip::parse(host);
  if (!ip) return ip.error();
  Result<unsigned> port = parse_number(text.substr(colon + 1), 65535, "not a port");
  if (!port) return port.error();
  return Address(*ip, static_cast<uint16_t>(*port));
}

Address Address::from_sockaddr(const sockaddr* raw) {
  Address address;
  if (raw->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, raw, sizeof v4);
    std::memcpy(address.ip_.bytes.data(), &v4.sin_addr, 4);
    address.family_ = Family::ip;
    address.port_ = ntohs(v4.sin_port);
  } else if (raw->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, raw, sizeof v6);
    address.ip_ = ip_of(v6.sin6_addr);
    address.family_ = Family::ip;
    address.port_ = ntohs(v6.sin6_port);
  } else if (raw->sa_family == AF_UNIX) {
    // The caller's sockaddr_storage was zeroed, so that an unnamed peer has an empty path.
    const char* path = reinterpret_cast<const char*>(raw) + offsetof(sockaddr_un, sun_path);
    address.path_.assign(path, strnlen(path, sizeof(sockaddr_un::sun_path)));
    address.family_ = Family::unix_path;
  }
  return address;
}

socklen_t Address::to_sockaddr(sockaddr_storage& out) const {
  std::memset(&out, 0, sizeof out);
  if (family_ == Family::ip && !ip_.v6) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port_);
    std::memcpy(&v4.sin_addr, ip_.bytes.data(), 4);
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  if (family_ == Family::ip) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port_);
    std::memcpy(&v6.sin6_addr, ip_.bytes.data(), 16);
    std::memcpy(&out, &v6, sizeof v6);
    return sizeof v6;
  }
  if (family_ == Family::unix_path) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path_.data(), std::min(path_.size(), sizeof un.sun_path - 1));
    std::memcpy(&out, &un, sizeof un);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size() + 1);
  }
  return 0;
}

bool Address::loopback() const {
  return family_ == Family::unix_path || (family_ == Family::ip && ip_.loopback());
}

std::string Address::text() const {
  switch (family_) {
    case Family::none:
      return "";
    case Family::unix_path:
      return "unix:" + path_;
    case Family::descriptor:
      return "fd:" + path_;
    case Family::ip:
      break;
  }
  const std::string host = ip_.v6 ? "[" + ip_.text() + "]" : ip_.text();
  return host + ":" + std::to_string(port_);
}

}  // namespace bw::net
