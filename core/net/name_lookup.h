// Addresses of a host name by the system's resolver.
//
// Blocks: on an executor or at start, never on a loop (CHECK). Errors: `why` receives a line for
// people. An IP literal is its own address and asks nobody.
#pragma once

#include <string>
#include <vector>

#include "core/net/address.h"

namespace bw::net {

// In the resolver's order; empty: none was found.
std::vector<Ip> look_up_name(const std::string& host, std::string* why);

}  // namespace bw::net
