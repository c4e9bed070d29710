#include "core/http/proxy_protocol.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace bw::http {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kMaxLine = 107;  // version 1, with its CRLF
constexpr size_t kMaxBlock = 1024;

Error malformed(std::string_view text) {
  return Error{.kind = Error::Kind::malformed, .side = Error::Side::client, .text = text};
}

std::string_view take_word(std::string_view& rest) {
  const size_t blank = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, blank);
  rest.remove_prefix(std::min(blank + 1, rest.size()));
  return word;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  uint32_t port = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

Result<ProxyHeader> parse_v1(std::string_view bytes) {
  const size_t end = bytes.substr(0, kMaxLine).find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMaxLine) return malformed("PROXY line too long");
    return ProxyHeader{};
  }
  if (bytes[end - 1] != '\r') return malformed("PROXY line");
  ProxyHeader header;
  header.size = end + 1;
  std::string_view rest = bytes.substr(6, end - 1 - 6);  // after "PROXY "
  const std::string_view family = take_word(rest);
  if (family == "UNKNOWN") return header;
  if (family != "TCP4" && family != "TCP6") return malformed("PROXY family");
  const std::string_view from = take_word(rest);
  const std::string_view to = take_word(rest);
  const auto from_port = parse_port(take_word(rest));
  const auto to_port = parse_port(rest);
  const Result<net::Ip> source = net::Ip::parse(from);
  const Result<net::Ip> destination = net::Ip::parse(to);
  // An IPv6 family may carry v4-mapped addresses, which Ip turns into IPv4.
  const bool six = family == "TCP6";
  const auto fits = [six](std::string_view text) {
    return (text.find(':') != std::string_view::npos) == six;
  };
  if (!from_port || !to_port || !source || !destination || !fits(from) || !fits(to)) {
    return malformed("PROXY address");
  }
  header.source = net::Address(*source, *from_port);
  header.destination = net::Address(*destination, *to_port);
  return header;
}

uint16_t port_at(std::string_view bytes, size_t offset) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[offset]) << 8 |
                               static_cast<uint8_t>(bytes[offset + 1]));
}

net::Address address_at(std::string_view bytes, size_t offset, size_t port_offset, bool v6) {
  sockaddr_storage raw{};
  // By way of a sockaddr, so that v4-mapped addresses become IPv4 as everywhere else.
  if (v6) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&raw);
    in6->sin6_family = AF_INET6;
    std::memcpy(&in6->sin6_addr, bytes.data() + offset, 16);
    std::memcpy(&in6->sin6_port, bytes.data() + port_offset, 2);
  } else {
    auto* in4 = reinterpret_cast<sockaddr_in*>(&raw);
    in4->sin_family = AF_INET;
    std::memcpy(&in4->sin_addr, bytes.data() + offset, 4);
    std::memcpy(&in4->sin_port, bytes.data() + port_offset, 2);
  }
  return net::Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw));
}

Result<ProxyHeader> parse_v2(std::string_view bytes) {
  if (bytes.size() < 16) return ProxyHeader{};
  const auto command = static_cast<uint8_t>(bytes[12]);
  const auto family = static_cast<uint8_t>(bytes[13]);
  const size_t length = port_at(bytes, 14);
  if (command != 0x20 && command != 0x21) return malformed("PROXY version or command");
  if (length > kMaxBlock) return malformed("PROXY header too long");
  if (bytes.size() < 16 + length) return ProxyHeader{};
  ProxyHeader header;
  header.size = 16 + length;
  if (command == 0x20) return header;  // LOCAL: the balancer speaks for itself
  if (family == 0x11) {                // TCP over IPv4
    if (length < 12) return malformed("PROXY address");
    header.source = address_at(bytes, 16, 24, false);
    header.destination = address_at(bytes, 20, 26, false);
  } else if (family == 0x21) {  // TCP over IPv6
    if (length < 36) return malformed("PROXY address");
    header.source = address_at(bytes, 16, 48, true);
    header.destination = address_at(bytes, 32, 50, true);
  } else if (family != 0x00 && family != 0x31) {
    return malformed("PROXY family");
  }
  return header;
}

}  // namespace

Result<ProxyHeader> parse_proxy_header(std::string_view bytes) {
  const auto begins = [bytes](std::string_view start) {
    const size_t n = std::min(bytes.size(), start.size());
    return bytes.substr(0, n) == start.substr(0, n);
  };
  if (begins(kSignature)) {
    return bytes.size() < kSignature.size() ? Result<ProxyHeader>(ProxyHeader{}) : parse_v2(bytes);
  }
  if (begins("PROXY ")) {
    return bytes.size() < 6 ? Result<ProxyHeader>(ProxyHeader{}) : parse_v1(bytes);
  }
  return malformed("no PROXY header");
}

}  // namespace bw::http
