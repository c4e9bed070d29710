// What a node's settings were made into: sites, upstreams, geography, certificates. A reload makes
// it anew, beside the one that serves.
//
// Threads: immutable once made; shared by shared_ptr, and each worker gets its snapshot by post.
// Blocks: reads files, looks up names. Errors: all that is wrong goes to Diagnostics at once.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/base/settings.h"
#include "core/net/tls.h"
#include "edge/node/purge_mapping.h"
#include "edge/node/settings.h"
#include "edge/node/sites.h"
#include "edge/node/upstreams.h"
#include "edge/proxy/snapshot.h"

namespace bw::edge {

struct Loaded {
  EdgeSettings settings;
  std::shared_ptr<const Snapshot> snapshot;
  std::shared_ptr<const Upstreams> upstreams;
  std::shared_ptr<net::TlsContext> tls;  // null: no TLS listener
  std::map<std::string, PurgeSite> purge_sites;
  std::string admin_token;  // empty: none is needed
};

// `settings` must have been read without an error; nullptr: see `diagnostics`.
std::shared_ptr<const Loaded> load(EdgeSettings settings, SiteIds& ids, Diagnostics& diagnostics);

}  // namespace bw::edge
