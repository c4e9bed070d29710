// The admin API of a node: health, readiness, metrics, status, explain, reload.
//
// Threads: the control loop's. Errors: problem+json. Bounds: bodies of 64 KiB. Without a token
// loopback and UNIX peers may read, and nobody may POST. See: product.md "Admin API of a node".
#pragma once

#include <memory>
#include <string>

#include "core/http/endpoint.h"
#include "edge/node/node_state.h"

namespace bw::edge {

// `token`: what Authorization: Bearer must carry; empty: none is known.
std::unique_ptr<http::Service> make_admin_service(net::Loop& loop, NodeState& node,
                                                  std::string token);

}  // namespace bw::edge
