// Finds the client's address behind trusted proxies: the rightmost one that isn't trusted.
//
// Pure. A peer that isn't trusted is the client, whatever it claims. An entry that isn't an address
// ends the walk: the last one believed is answered. A UNIX peer counts as 127.0.0.1.
// See: RFC 7239.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/field_list.h"
#include "core/net/address.h"

namespace bw::edge {

struct ClientAddressRule {
  std::vector<net::Network> trusted;
  std::string field = "x-forwarded-for";  // lower case; "forwarded" is read as RFC 7239
};

bool is_trusted(const ClientAddressRule& rule, const net::Ip& ip);
net::Ip client_address(const ClientAddressRule& rule, const net::Address& peer,
                       const http::FieldList& fields);
// `x-forwarded-for`, `forwarded` or `header:NAME` to the field's name; nullopt: none of them.
std::optional<std::string> client_address_field(std::string_view setting);

}  // namespace bw::edge
