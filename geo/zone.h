// Zones as they are answered: names, their records, and which names exist.
//
// Threads: immutable after they are made; shared by all loops. Look-ups allocate nothing.
// See: RFC 1034 section 4.3.2 (the algorithm), RFC 4592 (wildcards), RFC 8020 (nothing below
// NXDOMAIN).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/settings.h"
#include "core/dns/message.h"
#include "geo/settings.h"

namespace bw::geo {

// The records of one type at one name: raw data, or names (NS, CNAME) for compression.
struct RecordSet {
  uint16_t type = 0;
  uint32_t ttl = 0;
  std::vector<std::string> data;
  std::vector<dns::Name> names;
};

// A name answered from a map.
struct EdgeName {
  uint32_t map = 0;  // its number
  uint32_t ttl = 0;
  uint32_t answers = 0;
};

struct Node {
  std::vector<RecordSet> sets;
  std::optional<EdgeName> edge;
  const RecordSet* find(uint16_t type) const;
  bool empty() const { return sets.empty() && !edge; }
};

class Zone {
 public:
  struct Found {
    enum class Kind : uint8_t { node, absent, referral };
    Kind kind = Kind::absent;
    const Node* node = nullptr;  // of a referral: the cut's
    dns::Name cut;               // of a referral
  };
  // `name` is this zone's or below it.
  Found find(const dns::Name& name) const;
  // The node of exactly this name, or nullptr.
  const Node* exact(const dns::Name& name) const;
  const dns::Name& apex() const { return apex_; }
  const dns::Soa& soa() const { return soa_; }

 private:
  friend class ZoneSet;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Nodes = std::unordered_map<std::string, Node, Hash, std::equal_to<>>;

  dns::Name apex_;
  dns::Soa soa_;
  Nodes nodes_;  // by lower-case wire form; names above others exist, empty
};

class ZoneSet {
 public:
  // `maps`: names of maps, whose places are the numbers in EdgeName.
  static ZoneSet compile(const std::vector<ZoneSettings>& settings, uint32_t file_time,
                         const std::vector<std::string>& maps, Diagnostics& diagnostics);
  // The zone with the longest apex that contains `name`, or nullptr.
  const Zone* find(const dns::Name& name) const;
  size_t size() const { return zones_.size(); }

 private:
  void add(const ZoneSettings& settings, uint32_t file_time, const std::vector<std::string>& maps,
           Diagnostics& diagnostics);
  std::unordered_map<std::string, Zone, Zone::Hash, std::equal_to<>> zones_;
};

// The wire form of one record's data from its text: "" and `data` set, or what is allowed. Names
// (NS, CNAME) come as `name`.
struct RecordData {
  std::string data;
  dns::Name name;
};
std::string parse_record_data(uint16_t type, const std::string& text, RecordData& parsed);

}  // namespace bw::geo
