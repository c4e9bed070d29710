// Compiles the settings of sites into what the proxy looks up: SiteTable, and the groups it names.
//
// Threads: none; a reload compiles anew and posts the result to every loop. Errors: files that a
// rule or node.key_seed names and can't be read go to Diagnostics. Bounds: 1 MiB a file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "edge/guard/client_address.h"
#include "edge/node/settings.h"
#include "edge/proxy/site.h"

namespace bw::edge {

// Small numbers of sites, the same for a name as long as the process lives. Numbers of sites that
// went are not given again, so that after kMaxServedSites names a process must start anew.
class SiteIds {
 public:
  // 0: there are no more.
  uint32_t id_of(const std::string& name);

 private:
  std::map<std::string, uint32_t> ids_;
};

// A group of members to make: the site's, or a rule's own where it overrides what members share.
struct UpstreamPlan {
  std::string site;
  std::string group;  // as Route::upstream.group names it
  UpstreamSettings settings;
  std::vector<OriginSettings> origins;
};

struct CompiledSites {
  std::shared_ptr<const SiteTable> table;
  std::vector<UpstreamPlan> upstreams;
};

// `settings` must have been read without an error.
CompiledSites compile_sites(const EdgeSettings& settings, SiteIds& ids, Diagnostics& diagnostics);
ClientAddressRule compile_client_address(const ClientSettings& settings);

}  // namespace bw::edge
