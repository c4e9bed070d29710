// The one home of digests and secrets' comparison: SHA-256, HMAC, XXH3, hex, base64.
//
// Threads: pure functions.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw {

struct Hash128 {
  uint64_t hi = 0;
  uint64_t lo = 0;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
};
struct Hash128Hasher {
  size_t operator()(const Hash128& h) const { return h.lo; }
};

using Sha256 = std::array<uint8_t, 32>;

Sha256 sha256(std::string_view bytes);
Sha256 hmac_sha256(std::string_view key, std::string_view bytes);
uint64_t xxh3_64(std::string_view bytes, uint64_t seed = 0);
Hash128 xxh3_128(std::string_view bytes, uint64_t seed = 0);

// Lower-case hex.
std::string hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);
std::string base64(std::string_view bytes);
std::string base64url(std::string_view bytes);  // without padding

// Compares secrets in time that depends on their length only.
bool equal_secret(std::string_view a, std::string_view b);

}  // namespace bw
