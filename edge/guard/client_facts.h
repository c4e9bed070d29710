// What is known of who asks: the one address called "client" in limits, logs and geography.
//
// A value; views live as long as the snapshot of the database that gave them.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/net/address.h"

namespace bw::edge {

struct ClientFacts {
  net::Ip ip;
  std::string_view country;  // "DE"; empty: not known
  uint32_t asn = 0;          // 0: not known
};

}  // namespace bw::edge
