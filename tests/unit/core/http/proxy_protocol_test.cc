#include "core/http/proxy_protocol.h"

#include <catch2/catch.hpp>
#include <string>

using bw::http::parse_proxy_header;

namespace {

std::string v2(uint8_t command, uint8_t family, const std::string& block) {
  std::string bytes("\r\n\r\n\0\r\nQUIT\n", 12);
  bytes.push_back(static_cast<char>(command));
  bytes.push_back(static_cast<char>(family));
  bytes.push_back(static_cast<char>(block.size() >> 8));
  bytes.push_back(static_cast<char>(block.size() & 0xff));
  return bytes + block;
}
const std::string kBlock4("\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb", 12);

}  // namespace

TEST_CASE("proxy protocol: addresses of both versions are read, whole headers only") {
  struct Row {
    std::string bytes;
    std::string_view source;
    std::string_view destination;
  };
  const std::string six(15, '\0');
  const Row rows[] = {
      {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", "192.0.2.1:12345", "198.51.100.2:443"},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1", "[2001:db8::2]:65535"},
      {v2(0x21, 0x11, kBlock4), "192.0.2.1:12345", "198.51.100.2:443"},
      {v2(0x21, 0x11, kBlock4 + "TLVs"), "192.0.2.1:12345", "198.51.100.2:443"},
      {v2(0x21, 0x21, six + "\x01" + six + "\x02" + std::string("\x30\x39\x01\xbb", 4)),
       "[::1]:12345", "[::2]:443"},
  };
  for (const Row& row : rows) {
    for (size_t size = 0; size < row.bytes.size(); ++size) {
      const auto part = parse_proxy_header(std::string_view(row.bytes).substr(0, size));
      REQUIRE(part.ok());
      CHECK(part->size == 0);
    }
    const auto header = parse_proxy_header(row.bytes + "GET /");
    REQUIRE(header.ok());
    CHECK(header->size == row.bytes.size());
    REQUIRE((header->source && header->destination));
    CHECK(header->source->text() == row.source);
    CHECK(header->destination->text() == row.destination);
  }
}

TEST_CASE("proxy protocol: LOCAL and UNKNOWN name nobody") {
  for (const std::string& bytes :
       {std::string("PROXY UNKNOWN\r\n"), std::string("PROXY UNKNOWN a b c d\r\n"),
        v2(0x20, 0x00, ""), v2(0x20, 0x11, kBlock4), v2(0x21, 0x00, "")}) {
    const auto header = parse_proxy_header(bytes);
    REQUIRE(header.ok());
    CHECK(header->size == bytes.size());
    CHECK_FALSE(header->source.has_value());
  }
}

TEST_CASE("proxy protocol: what is no header is refused") {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n"), std::string("PROXY TCP5 a b 1 2\r\n"),
        std::string("PROXY TCP4 192.0.2.1 198.51.100.2 99999 443\r\n"),
        std::string("PROXY TCP4 192.0.2.1 198.51.100.2 1 443 \r\n"),
        std::string("PROXY TCP4 ::1 ::2 1 2\r\n"), std::string("PROXY TCP6 1.2.3.4 ::2 1 2\r\n"),
        std::string("PROXY TCP4 192.0.2.1 198.51.100.2 1 443\n"),
        std::string("PROXY TCP4 192.0.2.1\r\n"), "PROXY " + std::string(120, 'x'),
        v2(0x22, 0x11, kBlock4), v2(0x31, 0x11, kBlock4), v2(0x21, 0x12, kBlock4),
        v2(0x21, 0x11, kBlock4.substr(1)), v2(0x21, 0x11, std::string(2000, 'x'))}) {
    CHECK_FALSE(parse_proxy_header(bytes).ok());
  }
}
