#include "geo/zone.h"

#include <algorithm>
#include <charconv>

#include "core/net/address.h"

namespace bw::geo {
namespace {

using dns::Name;

uint32_t seconds(Duration duration) {
  return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

uint16_t type_of(const std::string& text) {
  if (text == "A") return dns::type::a;
  if (text == "AAAA") return dns::type::aaaa;
  if (text == "NS") return dns::type::ns;
  if (text == "TXT") return dns::type::txt;
  if (text == "CAA") return dns::type::caa;
  return dns::type::cname;
}

std::string_view next_word(std::string_view& text) {
  const size_t first = text.find_first_not_of(' ');
  text.remove_prefix(std::min(first, text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

// RFC 8659 section 4.1: flags, tag, value.
std::string parse_caa(std::string_view text, std::string& data) {
  constexpr std::string_view kAllowed = "FLAGS TAG \"VALUE\", as 0 issue \"ca.example\"";
  const std::string_view flags = next_word(text);
  const std::string_view tag = next_word(text);
  const size_t first = text.find_first_not_of(' ');
  std::string_view value = first == std::string_view::npos ? "" : text.substr(first);
  unsigned number = 256;
  const auto end = std::from_chars(flags.data(), flags.data() + flags.size(), number);
  const bool word = std::all_of(tag.begin(), tag.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
  if (end.ec != std::errc() || end.ptr != flags.data() + flags.size() || number > 255 || !word ||
      tag.empty() || tag.size() > 255 || value.size() > 4096) {
    return std::string(kAllowed);
  }
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  data = {static_cast<char>(number), static_cast<char>(tag.size())};
  data += tag;
  data += value;
  return {};
}

// `www` in `cdn.example` is `www.cdn.example`; nullopt: too long.
std::optional<Name> full_name(const std::string& name, const Name& apex) {
  if (name == "@") return apex;
  const Result<Name> relative = Name::parse(name);
  if (!relative) return std::nullopt;
  Name full = apex;
  std::vector<Name> parts;
  for (Name part = *relative; !part.is_root(); part = part.parent()) parts.push_back(part);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    const Result<Name> child = full.child(part->first_label());
    if (!child) return std::nullopt;
    full = *child;
  }
  return full;
}

}  // namespace

std::string parse_record_data(uint16_t type, const std::string& text, RecordData& parsed) {
  switch (type) {
    case dns::type::a:
    case dns::type::aaaa: {
      const bool v6 = type == dns::type::aaaa;
      const Result<net::Ip> ip = net::Ip::parse(text);
      if (!ip || ip->v6 != v6) return v6 ? "an IPv6 address" : "an IPv4 address";
      parsed.data.assign(reinterpret_cast<const char*>(ip->bytes.data()), v6 ? 16 : 4);
      return {};
    }
    case dns::type::txt: {
      if (text.size() > 4096) return "at most 4096 bytes";
      // Strings of at most 255 bytes; there is always one.
      size_t at = 0;
      do {
        const std::string_view piece = std::string_view(text).substr(at, 255);
        parsed.data += static_cast<char>(piece.size());
        parsed.data += piece;
        at += piece.size();
      } while (at < text.size());
      return {};
    }
    case dns::type::caa:
      return parse_caa(text, parsed.data);
    default: {
      const Result<Name> name = Name::parse(text);
      if (!name || name->is_root()) return "a domain name";
      parsed.name = *name;
      return {};
    }
  }
}

const RecordSet* Node::find(uint16_t type) const {
  for (const RecordSet& set : sets) {
    if (set.type == type) return &set;
  }
  return nullptr;
}

const Node* Zone::exact(const Name& name) const {
  const Name lower = name.lower();
  const auto at = nodes_.find(lower.wire());
  return at == nodes_.end() ? nullptr : &at->second;
}

Zone::Found Zone::find(const Name& name) const {
  const Name lower = name.lower();
  const std::string_view wire = lower.wire();
  const std::string_view apex = apex_.wire();
  // Where each label of `name` below the apex starts, outermost last.
  std::array<uint8_t, 128> starts{};
  size_t depth = 0;
  for (size_t at = 0; wire.size() - at > apex.size(); at += 1u + static_cast<uint8_t>(wire[at])) {
    starts[depth++] = static_cast<uint8_t>(at);
  }
  const Node* encloser = &nodes_.find(apex)->second;
  std::string_view encloser_wire = apex;
  while (depth > 0) {
    const std::string_view below = wire.substr(starts[depth - 1]);
    const auto at = nodes_.find(below);
    if (at == nodes_.end()) break;
    encloser = &at->second;
    encloser_wire = below;
    --depth;
    if (encloser->find(dns::type::ns) != nullptr) {
      Found found{.kind = Found::Kind::referral, .node = encloser, .cut = {}};
      found.cut = name;
      while (found.cut.wire().size() > below.size()) found.cut = found.cut.parent();
      return found;
    }
  }
  if (depth == 0) return {.kind = Found::Kind::node, .node = encloser, .cut = {}};
  // RFC 4592 section 3.3.1: only the closest encloser's own wildcard counts.
  std::array<char, Name::kMaxSize + 2> wildcard{1, '*'};
  std::copy(encloser_wire.begin(), encloser_wire.end(), wildcard.begin() + 2);
  const auto at = nodes_.find(std::string_view(wildcard.data(), encloser_wire.size() + 2));
  if (at == nodes_.end()) return {};
  return {.kind = Found::Kind::node, .node = &at->second, .cut = {}};
}

const Zone* ZoneSet::find(const Name& name) const {
  const Name lower = name.lower();
  const std::string_view wire = lower.wire();
  for (size_t at = 0;; at += 1u + static_cast<uint8_t>(wire[at])) {
    const auto zone = zones_.find(wire.substr(at));
    if (zone != zones_.end()) return &zone->second;
    if (wire[at] == 0) return nullptr;
  }
}

ZoneSet ZoneSet::compile(const std::vector<ZoneSettings>& settings, uint32_t file_time,
                         const std::vector<std::string>& maps, Diagnostics& diagnostics) {
  ZoneSet set;
  for (const ZoneSettings& one : settings) set.add(one, file_time, maps, diagnostics);
  return set;
}

void ZoneSet::add(const ZoneSettings& settings, uint32_t file_time,
                  const std::vector<std::string>& maps, Diagnostics& diagnostics) {
  const auto fault = [&](const Place& place, std::string_view key, std::string_view found,
                         std::string_view allowed) {
    diagnostics.error(place.file, place.line, key, found, allowed);
  };
  Zone zone;
  const Result<Name> apex = Name::parse(settings.name);
  if (!apex) return;  // told by its rule
  zone.apex_ = apex->lower();
  const auto name_or = [](const std::string& text, const Name& otherwise) {
    const Result<Name> name = Name::parse(text);
    return text.empty() || !name ? otherwise : *name;
  };
  RecordSet servers{.type = dns::type::ns, .ttl = 3600, .data = {}, .names = {}};
  for (const std::string& ns : settings.ns) servers.names.push_back(name_or(ns, zone.apex_));
  if (servers.names.empty()) {
    fault(settings.place, "zone.ns", "an empty list", "at least one name server");
    return;
  }
  const Result<Name> hostmaster = zone.apex_.child("hostmaster");
  zone.soa_ = {.mname = name_or(settings.mname, servers.names.front()),
               .rname = name_or(settings.rname, hostmaster.ok() ? *hostmaster : zone.apex_),
               .serial = settings.serial != 0 ? settings.serial : file_time,
               .refresh = seconds(settings.refresh),
               .retry = seconds(settings.retry),
               .expire = seconds(settings.expire),
               .minimum = seconds(settings.minimum)};
  const auto node_of = [&](const Name& name) -> Node& {
    const Name lower = name.lower();
    for (Name above = lower; !(above == zone.apex_); above = above.parent()) {
      zone.nodes_.try_emplace(std::string(above.wire()));
    }
    return zone.nodes_[std::string(lower.wire())];
  };
  node_of(zone.apex_).sets.push_back(std::move(servers));
  for (const EdgeNameSettings& edge : settings.edges) {
    if (edge.name.empty() || edge.map.empty()) continue;  // told by their rules
    const std::optional<Name> name = full_name(edge.name, zone.apex_);
    if (!name) {
      fault(edge.place, "zone.edge.name", edge.name, "a name that fits into 255 bytes");
      continue;
    }
    const auto map = std::find(maps.begin(), maps.end(), edge.map);
    if (map == maps.end()) {
      const std::string near = nearest(edge.map, maps);
      fault(edge.place, "zone.edge.map", edge.map,
            "the name of a [[map]]" + (near.empty() ? "" : " (nearest: " + near + ")"));
      continue;
    }
    Node& node = node_of(*name);
    if (node.edge) {
      fault(edge.place, "zone.edge.name", edge.name + " twice", "each name once");
      continue;
    }
    node.edge = EdgeName{.map = static_cast<uint32_t>(map - maps.begin()),
                         .ttl = seconds(edge.ttl),
                         .answers = edge.answers};
  }
  for (const RecordSettings& record : settings.records) {
    if (record.name.empty() || record.type.empty()) continue;  // told by their rules
    const std::optional<Name> name = full_name(record.name, zone.apex_);
    if (!name) {
      fault(record.place, "zone.record.name", record.name, "a name that fits into 255 bytes");
      continue;
    }
    if (record.data.empty()) fault(record.place, "zone.record.data", "an empty list", "data");
    RecordSet set{
        .type = type_of(record.type), .ttl = seconds(record.ttl), .data = {}, .names = {}};
    for (const std::string& text : record.data) {
      RecordData parsed;
      const std::string allowed = parse_record_data(set.type, text, parsed);
      if (!allowed.empty()) {
        fault(record.place, "zone.record.data", '"' + text + '"', allowed);
      } else if (set.type == dns::type::ns || set.type == dns::type::cname) {
        set.names.push_back(parsed.name);
      } else {
        set.data.push_back(std::move(parsed.data));
      }
    }
    Node& node = node_of(*name);
    if (node.find(set.type) != nullptr) {
      const bool apex_ns = set.type == dns::type::ns && *name == zone.apex_;
      fault(record.place, "zone.record", record.type + " of " + record.name + " again",
            apex_ns ? "zone.ns for the zone's own servers" : "one table a name and type");
      continue;
    }
    node.sets.push_back(std::move(set));
  }
  for (const auto& [wire, node] : zone.nodes_) {
    const RecordSet* alias = node.find(dns::type::cname);
    const bool addresses =
        node.find(dns::type::a) != nullptr || node.find(dns::type::aaaa) != nullptr;
    size_t at = 0;
    const auto text = [&, &wire = wire] {
      return Name::read(dns::Bytes(reinterpret_cast<const uint8_t*>(wire.data()), wire.size()), at)
          ->text();
    };
    if (alias != nullptr && (node.sets.size() > 1 || node.edge || alias->names.size() > 1)) {
      fault(settings.place, "zone.record", "CNAME of " + text() + " beside others",
            "a CNAME alone at its name (RFC 1034 section 3.6.2)");
    } else if (node.edge && addresses) {
      fault(settings.place, "zone.edge", text() + " with A or AAAA records too",
            "addresses from the map or from records");
    } else if (node.edge && node.find(dns::type::ns) != nullptr && wire != zone.apex_.wire()) {
      fault(settings.place, "zone.edge", text() + " with NS records too", "no delegation there");
    }
  }
  std::string key(zone.apex_.wire());
  if (!zones_.emplace(std::move(key), std::move(zone)).second) {
    fault(settings.place, "zone.name", settings.name + " twice", "each zone once");
  }
}

}  // namespace bw::geo
