#include "core/dns/cookie.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace bw::dns;

namespace {
constexpr CookieSecret kSecret = {0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f,
                                  0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf};
constexpr std::array<uint8_t, 8> kClient = {0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57};
const std::vector<uint8_t> kIp = {198, 51, 100, 100};
constexpr uint32_t kTime = 1559731985;
}  // namespace

TEST_CASE("cookie: the example of RFC 9018 appendix A.1") {
  Cookie cookie = make_cookie(kSecret, kClient, kIp, kTime);
  const std::vector<uint8_t> wanted = {0x01, 0,    0,    0,    0x5c, 0xf7, 0x9f, 0x11,
                                       0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80};
  CHECK(std::vector<uint8_t>(cookie.server.begin(), cookie.server.begin() + 16) == wanted);
}

TEST_CASE("cookie: valid for its client, its secrets and its hour") {
  const Cookie cookie = make_cookie(kSecret, kClient, kIp, kTime);
  CookieSecret other = kSecret;
  other[0] ^= 1;
  CHECK(cookie_valid({kSecret}, cookie, kIp, kTime));
  CHECK(cookie_valid({other, kSecret}, cookie, kIp, kTime));  // the secret was rolled
  CHECK_FALSE(cookie_valid({other}, cookie, kIp, kTime));
  CHECK_FALSE(cookie_valid({}, cookie, kIp, kTime));
  CHECK_FALSE(cookie_valid({kSecret}, cookie, std::vector<uint8_t>{198, 51, 100, 101}, kTime));
  CHECK(cookie_valid({kSecret}, cookie, kIp, kTime + 3600));
  CHECK_FALSE(cookie_valid({kSecret}, cookie, kIp, kTime + 3601));
  CHECK(cookie_valid({kSecret}, cookie, kIp, kTime - 300));
  CHECK_FALSE(cookie_valid({kSecret}, cookie, kIp, kTime - 301));
  Cookie changed = cookie;
  changed.server[15] ^= 1;
  CHECK_FALSE(cookie_valid({kSecret}, changed, kIp, kTime));
  changed = cookie;
  changed.server_size = 8;
  CHECK_FALSE(cookie_valid({kSecret}, changed, kIp, kTime));
}
