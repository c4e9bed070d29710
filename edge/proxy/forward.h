// The request as it leaves for an upstream: what a client sent, less what isn't its business.
//
// Pure. Hop-by-hop and Breakwater-* go; Via, CDN-Loop and the client's address are ours to say. On
// a fetch whose answer may be stored nothing steers the origin that isn't in the key: the
// families X-Forwarded-*, X-Original-*, X-Rewrite-*, X-Host*, X-HTTP-Method* and
// Forwarded are replaced by our own or dropped unless the site keys them.
#pragma once

#include <string>
#include <string_view>

#include "core/http/message.h"
#include "core/net/address.h"
#include "edge/cache/key.h"
#include "edge/guard/client_facts.h"
#include "edge/proxy/site.h"

namespace bw::edge {

struct ForwardFacts {
  std::string_view node;
  const Route& route;
  const ClientFacts& client;
  net::Ip peer;
  bool peer_trusted = false;  // what it says of addresses is kept and appended to
  bool may_store = false;
  const CacheKey* key = nullptr;  // its target is what is sent; null: the client's own
  std::string_view request_id;
};
http::RequestHead forward_request(const http::RequestHead& received, const ForwardFacts& facts);

// Fields that only tiers exchange, in whatever spelling: `breakwater-` or `breakwater_`.
void remove_tier_fields(http::FieldList& fields);
// Members of CDN-Loop that are ours: whether `node` is among them, and how many there are.
struct LoopSeen {
  bool this_node = false;
  int ours = 0;
};
LoopSeen find_loop(const http::FieldList& fields, std::string_view node);

}  // namespace bw::edge
