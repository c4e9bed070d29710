#include "core/dns/cookie.h"

#include <algorithm>
#include <bit>

#include "core/base/check.h"

namespace bw::dns {
namespace {

constexpr uint32_t kLifetime = 3600;  // RFC 9018 section 4.3
constexpr uint32_t kSkew = 300;
constexpr uint8_t kVersion = 1;
constexpr uint8_t kServerSize = 16;

uint64_t load_le(const uint8_t* p, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; ++i) value |= uint64_t(p[i]) << (8 * i);
  return value;
}

struct SipState {
  uint64_t v0, v1, v2, v3;
  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

std::array<uint8_t, kServerSize> server_part(const CookieSecret& secret,
                                             const std::array<uint8_t, 8>& client, Bytes client_ip,
                                             uint32_t time) {
  BW_CHECK(client_ip.size() == 4 || client_ip.size() == 16);
  std::array<uint8_t, 8 + 8 + 16> input{};
  std::copy(client.begin(), client.end(), input.begin());
  input[8] = kVersion;  // then three reserved bytes
  for (unsigned i = 0; i < 4; ++i) input[12 + i] = uint8_t(time >> (24 - 8 * i));
  std::copy(client_ip.begin(), client_ip.end(), input.begin() + 16);
  uint64_t hash = siphash24(secret, Bytes(input.data(), 16 + client_ip.size()));
  std::array<uint8_t, kServerSize> out{};
  std::copy_n(input.begin() + 8, 8, out.begin());
  for (unsigned i = 0; i < 8; ++i) out[8 + i] = uint8_t(hash >> (8 * i));
  return out;
}

}  // namespace

uint64_t siphash24(const CookieSecret& key, Bytes bytes) {
  uint64_t k0 = load_le(key.data(), 8);
  uint64_t k1 = load_le(key.data() + 8, 8);
  SipState s{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
             k1 ^ 0x7465646279746573};
  size_t whole = bytes.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) s.take(load_le(bytes.data() + i, 8));
  s.take(load_le(bytes.data() + whole, bytes.size() - whole) | uint64_t(bytes.size()) << 56);
  s.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) s.round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

Cookie make_cookie(const CookieSecret& secret, const std::array<uint8_t, 8>& client,
                   Bytes client_ip, uint32_t now) {
  Cookie cookie;
  cookie.client = client;
  cookie.server_size = kServerSize;
  auto server = server_part(secret, client, client_ip, now);
  std::copy(server.begin(), server.end(), cookie.server.begin());
  return cookie;
}

bool cookie_valid(const std::vector<CookieSecret>& secrets, const Cookie& cookie, Bytes client_ip,
                  uint32_t now) {
  if (cookie.server_size != kServerSize || cookie.server[0] != kVersion) return false;
  uint32_t time = 0;
  for (unsigned i = 0; i < 4; ++i) time = time << 8 | cookie.server[4 + i];
  // Serial arithmetic (RFC 1982), as RFC 9018 section 4.3 asks.
  int32_t age = int32_t(now - time);
  if (age > int32_t(kLifetime) || age < -int32_t(kSkew)) return false;
  for (const CookieSecret& secret : secrets) {
    auto wanted = server_part(secret, cookie.client, client_ip, time);
    uint8_t difference = 0;  // compared in constant time
    for (size_t i = 8; i < kServerSize; ++i) difference |= uint8_t(wanted[i] ^ cookie.server[i]);
    if (difference == 0) return true;
  }
  return false;
}

}  // namespace bw::dns
