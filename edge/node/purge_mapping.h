// Records of the log as this node's own purges: its sites' rules make the keys.
//
// Pure. A record of a kind this build doesn't know purges its site softly; one site may key in
// several ways (rules), and then a URL is purged in each. See: record.h.
#pragma once

#include <vector>

#include "edge/cache/cache_policy.h"
#include "edge/cache/purged_since.h"
#include "purge/client/record.h"

namespace bw::edge {

// What is known of a site by its name.
struct PurgeSite {
  uint32_t id = 0;
  std::vector<KeyRules> rules;  // all that differ; empty: of a site this node doesn't serve
};

// Appends to `purges`; records without an effect (an epoch's start) append nothing.
void map_record(const purge::Record& record, const PurgeSite& site, std::vector<Purge>& purges);

}  // namespace bw::edge
