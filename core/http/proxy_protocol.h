// The PROXY protocol's header, versions 1 and 2: who a trusted balancer says is connected.
//
// Pure. Bounds: 107 bytes (v1), 16 + 1024 (v2; longer is malformed). See: HAProxy's
// proxy-protocol.txt.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "core/base/result.h"
#include "core/net/address.h"

namespace bw::http {

struct ProxyHeader {
  size_t size = 0;  // bytes of the header; 0: not whole yet
  // Empty for LOCAL, UNKNOWN and families that carry no IP: the connection's own stand.
  std::optional<net::Address> source;
  std::optional<net::Address> destination;
};

// Reads the header at the start of `bytes`; size 0 asks for more.
Result<ProxyHeader> parse_proxy_header(std::string_view bytes);

}  // namespace bw::http
