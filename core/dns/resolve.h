// The packets of a resolving client: build one question, read the addresses of its answer.
//
// Pure: sockets, retries and clocks are the caller's. Bounds: kMaxAddresses; aliases are followed
// inside the message at most eight deep. See: RFC 1034 section 5.3.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dns/message.h"

namespace bw::dns {

// Writes a recursive query with EDNS (1232 bytes) into `out`, at least 300 bytes; its size.
// `id` should be unpredictable.
Result<size_t> build_query(uint16_t id, const Name& name, uint16_t type, std::span<uint8_t> out);

struct ResolvedAddress {
  std::array<uint8_t, 16> bytes{};  // network order; IPv4 in the first four
  bool v6 = false;
};

struct Response {
  enum class Outcome : uint8_t {
    addresses,
    nodata,  // the name exists without the type
    nxdomain,
    truncated,  // ask again over TCP
    failed,     // SERVFAIL, REFUSED and the like: ask another server
  };
  static constexpr size_t kMaxAddresses = 64;

  Outcome outcome = Outcome::failed;
  std::vector<ResolvedAddress> addresses;
  // Seconds: least of the records on the way; of negative answers from the SOA (RFC 2308), or 0.
  uint32_t ttl = 0;
};

// Fails when the message is malformed or isn't the answer to that question and id (then the right
// one may still come).
Result<Response> parse_response(Bytes message, uint16_t id, const Name& name, uint16_t type);

// `nameserver` lines of resolv.conf: addresses as text, at most three. `hosts` lines: addresses as
// text of `name` (without case), in file order.
std::vector<std::string> nameservers_of(std::string_view resolv_conf);
std::vector<std::string> hosts_of(std::string_view hosts, std::string_view name);

}  // namespace bw::dns
