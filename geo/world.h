// World: all that decides answers but health: POPs, maps, zones, cookie secrets. And Health, which
// addresses are up.
//
// Threads: immutable; built off the loops, then posted to each as one Snapshot. A world's POPs and
// the health beside it have the same numbers. See: geo/responder.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "core/dns/cookie.h"
#include "core/net/address.h"
#include "geo/locate/locator.h"
#include "geo/location_table.h"
#include "geo/settings.h"
#include "geo/zone.h"

namespace bw::geo {

struct Pop {
  std::string name;
  std::vector<net::Ip> addresses;
  uint32_t min_nodes = 1;
  std::optional<ProbeUrl> probe;
  bool has(bool v6) const;
};

// Where each place's queries go. Lists hold every POP of the map: first what the place names, then
// the rest of `default`, then those only other places name. So a name has addresses of a family
// for everybody or for nobody.
struct PlaceMap {
  std::string name;
  std::vector<std::vector<uint16_t>> lists;  // list 0: the default
  LocationTable table;
  bool has_v4 = false, has_v6 = false;
};

struct World {
  std::vector<Pop> pops;
  std::vector<PlaceMap> maps;
  ZoneSet zones;
  std::vector<dns::CookieSecret> secrets;  // first signs
  std::shared_ptr<const Locator> locator;  // null: no database
};

// up[pop][address].
struct Health {
  std::vector<std::vector<bool>> up;
};

struct Snapshot {
  std::shared_ptr<const World> world;
  std::shared_ptr<const Health> health;
};

// What several tables must agree on; errors in `diagnostics` with their lines. `locator` may be
// null; `secrets` at least one.
std::shared_ptr<const World> compile_world(const GeodnsSettings& settings,
                                           std::shared_ptr<const Locator> locator,
                                           std::vector<dns::CookieSecret> secrets,
                                           Diagnostics& diagnostics);
// Secrets of a file: 32 hex digits a line, '#' comments.
Result<std::vector<dns::CookieSecret>> read_cookie_secrets(const std::string& file,
                                                           std::string* why);

// Where a query's client is, for one map.
struct Whereabouts {
  uint16_t list = 0;
  // What the rendezvous hash is keyed by: the block this answer holds for.
  net::Ip block;
  uint8_t block_length = 0;
  uint8_t scope = 0;  // of the client subnet option
};
// RFC 7871 section 7.2.1. `subnet`: null when the query had none (or asked for none).
Whereabouts find_place(const PlaceMap& map, const dns::ClientSubnet* subnet,
                       const net::Ip& resolver);

// At most eight addresses of one family, from the first POP of the list that is good; of the first
// that has any when none is.
struct Choice {
  std::vector<net::Ip>::size_type count = 0;
  std::array<net::Ip, 8> addresses;
  uint16_t pop = 0;
  bool all_down = false;
};
Choice choose(const World& world, const Health& health, const PlaceMap& map,
              const Whereabouts& where, bool v6, uint32_t answers);

}  // namespace bw::geo
