#include "geo/world.h"

#include <algorithm>
#include <fstream>
#include <map>

#include "core/base/digest.h"
#include "geo/continents.h"

namespace bw::geo {
namespace {

// No scope is wider, so that load can spread over a POP's addresses.
constexpr uint8_t kWidestV4 = 20;
constexpr uint8_t kWidestV6 = 36;
constexpr uint8_t kResolverV4 = 24;
constexpr uint8_t kResolverV6 = 48;
constexpr size_t kMaxLists = 60'000;

net::Ip masked(net::Ip ip, uint8_t length) {
  const unsigned width = ip.v6 ? 128 : 32;
  for (unsigned bit = length; bit < width; ++bit) {
    ip.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
  }
  return ip;
}

// Turns the names of POPs in one map into lists, each list once.
class MapCompiler {
 public:
  MapCompiler(const MapSettings& settings, const std::vector<Pop>& pops, bool has_countries,
              Diagnostics& diagnostics)
      : settings_(settings), pops_(pops), has_countries_(has_countries), diagnostics_(diagnostics) {
    for (size_t i = 0; i < pops.size(); ++i) numbers_[pops[i].name] = static_cast<uint16_t>(i);
  }

  PlaceMap compile(const Locator* locator);

 private:
  void fault(const std::string& key, std::string_view found, std::string_view allowed) {
    diagnostics_.error(settings_.place.file, settings_.place.line, "map." + key, found, allowed);
  }
  std::vector<uint16_t> named(const std::string& key, const std::vector<std::string>& names);
  uint16_t list(const std::vector<uint16_t>& first);

  const MapSettings& settings_;
  const std::vector<Pop>& pops_;
  const bool has_countries_;
  Diagnostics& diagnostics_;
  std::map<std::string, uint16_t> numbers_;
  std::vector<uint16_t> rest_;  // what each list goes on with
  PlaceMap map_;
};

std::vector<uint16_t> MapCompiler::named(const std::string& key,
                                         const std::vector<std::string>& names) {
  std::vector<uint16_t> found;
  for (const std::string& name : names) {
    const auto at = numbers_.find(name);
    if (at == numbers_.end()) {
      std::vector<std::string> all;
      for (const auto& [known, number] : numbers_) all.push_back(known);
      const std::string near = nearest(name, all);
      fault(key, name, "names of [[pop]]" + (near.empty() ? "" : " (nearest: " + near + ")"));
    } else if (std::find(found.begin(), found.end(), at->second) != found.end()) {
      fault(key, name + " twice", "each POP once");
    } else {
      found.push_back(at->second);
    }
  }
  if (names.empty()) fault(key, "an empty list", "at least one POP");
  return found;
}

uint16_t MapCompiler::list(const std::vector<uint16_t>& first) {
  std::vector<uint16_t> whole = first;
  for (uint16_t pop : rest_) {
    if (std::find(whole.begin(), whole.end(), pop) == whole.end()) whole.push_back(pop);
  }
  const auto at = std::find(map_.lists.begin(), map_.lists.end(), whole);
  if (at != map_.lists.end()) return static_cast<uint16_t>(at - map_.lists.begin());
  map_.lists.push_back(std::move(whole));
  return static_cast<uint16_t>(map_.lists.size() - 1);
}

PlaceMap MapCompiler::compile(const Locator* locator) {
  map_.name = settings_.name;
  const std::vector<uint16_t> defaults = named("default", settings_.defaults);
  std::map<std::string, std::vector<uint16_t>> countries, continents;
  std::vector<std::pair<net::Network, std::vector<uint16_t>>> networks;
  rest_ = defaults;
  const auto remember = [this](const std::vector<uint16_t>& pops) {
    for (uint16_t pop : pops) {
      if (std::find(rest_.begin(), rest_.end(), pop) == rest_.end()) rest_.push_back(pop);
    }
  };
  for (const auto& [code, names] : settings_.countries) {
    const bool good = code.size() == 2 && std::all_of(code.begin(), code.end(),
                                                      [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!good) fault("countries", code, "two capital letters (ISO 3166-1)");
    remember(countries[code] = named("countries." + code, names));
  }
  for (const auto& [code, names] : settings_.continents) {
    if (!is_continent(code)) fault("continents", code, "AF AN AS EU NA OC SA");
    remember(continents[code] = named("continents." + code, names));
  }
  for (const auto& [text, names] : settings_.networks) {
    const Result<net::Network> network = net::Network::parse(text);
    std::vector<uint16_t> pops = named("networks." + text, names);
    remember(pops);
    if (!network) {
      fault("networks", text, "networks as 198.51.100.0/24");
    } else if (network->base.v6 && network->length > 64) {
      fault("networks", text, "IPv6 networks of at most 64 bits");
    } else {
      networks.emplace_back(*network, std::move(pops));
    }
  }
  if ((!countries.empty() || !continents.empty()) && !has_countries_) {
    fault("countries", "no [geo] country", "a database that tells countries, or networks alone");
  }
  if (networks.size() > kMaxLists) fault("networks", std::to_string(networks.size()), "60000");
  if (!diagnostics_.ok()) return std::move(map_);

  LocationTableBuilder builder(list(defaults));
  if (locator != nullptr) {
    std::map<std::array<char, 2>, uint16_t> by_country;
    const Status read =
        locator->for_each_country([&](const net::Network& network, std::array<char, 2> country) {
          auto [at, fresh] = by_country.try_emplace(country, uint16_t{0});
          if (fresh) {
            const auto own = countries.find(std::string(country.data(), 2));
            const auto wide = continents.find(std::string(continent_of(country)));
            if (own != countries.end()) {
              at->second = list(own->second);
            } else if (wide != continents.end()) {
              at->second = list(wide->second);
            }
          }
          builder.set(network, at->second);
        });
    if (!read) fault("countries", "a broken database", "a whole MaxMind database");
  }
  // Wide ones first, so that what is more specific beats them.
  std::stable_sort(networks.begin(), networks.end(),
                   [](const auto& a, const auto& b) { return a.first.length < b.first.length; });
  for (const auto& [network, pops] : networks) builder.set(network, list(pops));
  map_.table = builder.build();
  for (uint16_t pop : map_.lists[0]) {
    map_.has_v4 = map_.has_v4 || pops_[pop].has(false);
    map_.has_v6 = map_.has_v6 || pops_[pop].has(true);
  }
  return std::move(map_);
}

}  // namespace

bool Pop::has(bool v6) const {
  return std::any_of(addresses.begin(), addresses.end(),
                     [v6](const net::Ip& ip) { return ip.v6 == v6; });
}

std::shared_ptr<const World> compile_world(const GeodnsSettings& settings,
                                           std::shared_ptr<const Locator> locator,
                                           std::vector<dns::CookieSecret> secrets,
                                           Diagnostics& diagnostics) {
  auto world = std::make_shared<World>();
  // Else a list may be short because its items were refused.
  const bool whole = diagnostics.ok();
  std::map<std::string, Place> names;
  for (const PopSettings& one : settings.pops) {
    const auto fault = [&](std::string_view key, std::string_view found, std::string_view allowed) {
      diagnostics.error(one.place.file, one.place.line, key, found, allowed);
    };
    Pop pop{.name = one.name, .addresses = {}, .min_nodes = one.min_nodes, .probe = {}};
    if (!names.emplace(one.name, one.place).second) {
      fault("pop.name", one.name + " twice", "each POP once");
    }
    for (const std::string& text : one.addresses) {
      const Result<net::Ip> ip = net::Ip::parse(text);
      if (!ip) continue;  // told by its rule
      if (std::find(pop.addresses.begin(), pop.addresses.end(), *ip) != pop.addresses.end()) {
        fault("pop.addresses", text + " twice", "each address once");
      }
      pop.addresses.push_back(*ip);
    }
    if (whole && pop.addresses.empty()) {
      fault("pop.addresses", "an empty list", "at least one address");
    }
    if (whole && one.min_nodes > pop.addresses.size()) {
      fault("pop.min_nodes", std::to_string(one.min_nodes), "at most the number of addresses");
    }
    if (!one.probe.empty()) pop.probe = parse_probe_url(one.probe);
    world->pops.push_back(std::move(pop));
  }
  const bool has_countries = locator != nullptr || settings.geo.has_value();
  std::vector<std::string> map_names;
  for (const MapSettings& one : settings.maps) {
    if (std::find(map_names.begin(), map_names.end(), one.name) != map_names.end()) {
      diagnostics.error(one.place.file, one.place.line, "map.name", one.name + " twice",
                        "each map once");
    }
    map_names.push_back(one.name);
    world->maps.push_back(
        MapCompiler(one, world->pops, has_countries, diagnostics).compile(locator.get()));
  }
  world->zones = ZoneSet::compile(settings.zones, settings.file_time, map_names, diagnostics);
  world->secrets = std::move(secrets);
  world->locator = std::move(locator);
  return world;
}

Result<std::vector<dns::CookieSecret>> read_cookie_secrets(const std::string& file,
                                                           std::string* why) {
  const auto fail = [&](std::string_view what) {
    *why = file + ": " + std::string(what);
    return Error{.kind = Error::Kind::malformed, .text = "cookie secrets"};
  };
  std::ifstream in(file);
  if (!in) return fail("cannot be read");
  std::vector<dns::CookieSecret> secrets;
  std::string line;
  while (std::getline(in, line)) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const std::optional<std::string> bytes = from_hex(line);
    if (!bytes || bytes->size() != 16) return fail("each line must be 32 hex digits");
    if (secrets.size() == 16) return fail("has more than 16 secrets");
    std::copy(bytes->begin(), bytes->end(), secrets.emplace_back().begin());
  }
  if (secrets.empty()) return fail("holds no secret");
  return secrets;
}

Whereabouts find_place(const PlaceMap& map, const dns::ClientSubnet* subnet,
                       const net::Ip& resolver) {
  Whereabouts where;
  const auto by_resolver = [&] {
    const LocationTable::Block block = map.table.find(resolver);
    where.list = block.list == LocationTable::kPrivate ? uint16_t{0} : block.list;
    where.block_length = resolver.v6 ? kResolverV6 : kResolverV4;
    where.block = masked(resolver, where.block_length);
  };
  if (subnet == nullptr || subnet->source == 0) {
    by_resolver();
    return where;
  }
  net::Ip ip;
  ip.v6 = subnet->family == 2;
  std::copy_n(subnet->address.begin(), ip.v6 ? 16 : 4, ip.bytes.begin());
  const LocationTable::Block block = map.table.find(ip);
  if (block.list == LocationTable::kPrivate) {
    by_resolver();
    where.scope = block.length;
    return where;
  }
  where.list = block.list;
  where.scope = std::max(block.length, ip.v6 ? kWidestV6 : kWidestV4);
  where.block_length = where.scope;
  where.block = masked(ip, where.scope);
  return where;
}

Choice choose(const World& world, const Health& health, const PlaceMap& map,
              const Whereabouts& where, bool v6, uint32_t answers) {
  Choice choice;
  const std::vector<uint16_t>& list = map.lists[where.list];
  const Pop* chosen = nullptr;
  for (uint16_t number : list) {
    const Pop& pop = world.pops[number];
    uint32_t all = 0;
    uint32_t up = 0;
    for (size_t i = 0; i < pop.addresses.size(); ++i) {
      if (pop.addresses[i].v6 != v6) continue;
      ++all;
      if (health.up[number][i]) ++up;
    }
    if (up > 0 && up >= std::min(all, pop.min_nodes)) {
      choice.pop = number;
      chosen = &pop;
      break;
    }
  }
  if (chosen == nullptr) {  // all down: better a bad answer than none
    choice.all_down = true;
    for (uint16_t number : list) {
      if (!world.pops[number].has(v6)) continue;
      choice.pop = number;
      chosen = &world.pops[number];
      break;
    }
    if (chosen == nullptr) return choice;
  }
  // Rendezvous: each block ranks the addresses by its own hash of them, so it keeps its answer
  // when others come and go.
  struct Ranked {
    uint64_t score;
    size_t at;
  };
  std::array<Ranked, 8> best{};
  const size_t wanted = std::min<size_t>(answers, best.size());
  std::array<char, 34> key{};
  std::copy(where.block.bytes.begin(), where.block.bytes.end(), key.begin());
  key[32] = static_cast<char>(where.block_length);
  key[33] = static_cast<char>(where.block.v6);
  for (size_t i = 0; i < chosen->addresses.size(); ++i) {
    const net::Ip& ip = chosen->addresses[i];
    if (ip.v6 != v6 || (!choice.all_down && !health.up[choice.pop][i])) continue;
    std::copy(ip.bytes.begin(), ip.bytes.end(), key.begin() + 16);
    const Ranked mine{xxh3_64(std::string_view(key.data(), key.size())), i};
    size_t place = choice.count;
    while (place > 0 && best[place - 1].score < mine.score) --place;
    if (place >= wanted) continue;
    if (choice.count < wanted) ++choice.count;
    for (size_t j = choice.count - 1; j > place; --j) best[j] = best[j - 1];
    best[place] = mine;
  }
  for (size_t i = 0; i < choice.count; ++i) choice.addresses[i] = chosen->addresses[best[i].at];
  return choice;
}

}  // namespace bw::geo
