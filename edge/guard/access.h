// Who may come in: networks, countries and ASNs allowed or denied.
//
// Pure. deny wins over allow; a non-empty allow lets in only whom it names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/net/address.h"
#include "edge/guard/client_facts.h"

namespace bw::edge {

// A set of clients: `192.0.2.0/24`, `country:DE`, `asn:64500`.
struct ClientSet {
  std::vector<net::Network> networks;
  std::vector<std::string> countries;  // upper case
  std::vector<uint32_t> asns;

  Status add(std::string_view entry);
  bool contains(const ClientFacts& client) const;
  bool empty() const { return networks.empty() && countries.empty() && asns.empty(); }
};

struct AccessRules {
  ClientSet allow;
  ClientSet deny;
  bool admits(const ClientFacts& client) const {
    return !deny.contains(client) && (allow.empty() || allow.contains(client));
  }
};

}  // namespace bw::edge
