// What a reload replaces: sites, their upstream groups, geography, whom to believe.
//
// Threads: immutable; each worker keeps its own shared_ptr, exchanges and fills keep the one they
// began with.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "edge/guard/client_address.h"
#include "edge/proxy/site.h"
#include "edge/upstream/group.h"
#include "geo/locate/locator.h"

namespace bw::edge {

// What happens when no shield answers ([shield] fallback).
enum class ShieldFallback : uint8_t { origin, stale, fail };

struct Snapshot {
  std::shared_ptr<const SiteTable> sites;
  // By site and group, as UpstreamUse::group names it.
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Group>> groups;
  std::shared_ptr<Group> shields;  // null: this tier asks origins
  ShieldFallback fallback = ShieldFallback::origin;
  ClientAddressRule client_address;
  std::shared_ptr<const geo::Locator> locator;  // null: no geography

  std::shared_ptr<Group> group_of(const Site& site, const Route& route) const {
    const auto found = groups.find({site.name, route.upstream.group});
    return found == groups.end() ? nullptr : found->second;
  }
};

}  // namespace bw::edge
