// DNS server cookies that all servers with one secret make alike.
//
// Pure. Lifetime of a cookie: one hour, five minutes of clock skew. See: RFC 9018 sections 4.2-4.4.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/dns/message.h"

namespace bw::dns {

using CookieSecret = std::array<uint8_t, 16>;

// SipHash-2-4 (RFC 9018 section 4.4).
uint64_t siphash24(const CookieSecret& key, Bytes bytes);

// `client_ip`: 4 or 16 bytes. `now`: seconds since 1970.
Cookie make_cookie(const CookieSecret& secret, const std::array<uint8_t, 8>& client,
                   Bytes client_ip, uint32_t now);
// Whether `cookie` holds a server part made with one of `secrets` for that client, in its time.
bool cookie_valid(const std::vector<CookieSecret>& secrets, const Cookie& cookie, Bytes client_ip,
                  uint32_t now);

}  // namespace bw::dns
