#include "edge/guard/access.h"

#include <algorithm>
#include <charconv>

namespace bw::edge {

Status ClientSet::add(std::string_view entry) {
  const Error malformed{Error::Kind::malformed, Error::Side::self, Error::Retry::no, 0,
                        "set of clients"};
  constexpr std::string_view kCountry = "country:";
  constexpr std::string_view kAsn = "asn:";
  if (entry.starts_with(kCountry)) {
    entry.remove_prefix(kCountry.size());
    const bool letters = std::all_of(entry.begin(), entry.end(), [](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    });
    if (entry.size() != 2 || !letters) return malformed;
    std::string country(entry);
    for (char& c : country) c = static_cast<char>(c & ~0x20);
    countries.push_back(std::move(country));
    return {};
  }
  if (entry.starts_with(kAsn)) {
    entry.remove_prefix(kAsn.size());
    uint32_t asn = 0;
    const auto end = std::from_chars(entry.data(), entry.data() + entry.size(), asn);
    if (end.ec != std::errc() || end.ptr != entry.data() + entry.size() || asn == 0) {
      return malformed;
    }
    asns.push_back(asn);
    return {};
  }
  const Result<net::Network> network = net::Network::parse(entry);
  if (!network.ok()) return network.error();
  networks.push_back(*network);
  return {};
}

bool ClientSet::contains(const ClientFacts& client) const {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const net::Network& network) { return network.contains(client.ip); }) ||
         std::find(countries.begin(), countries.end(), client.country) != countries.end() ||
         (client.asn != 0 && std::find(asns.begin(), asns.end(), client.asn) != asns.end());
}

}  // namespace bw::edge
