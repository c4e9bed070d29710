// From an address to the number of a POP list: disjoint blocks that cover all addresses.
//
// Built by layers, each beating those before: default, private space, countries, networks. Equal
// siblings are merged, so a block is the widest around an address that is answered alike; scopes
// made from it are true and never overlap. Threads: immutable after build(). Bounds: IPv6 is told
// apart by its first 64 bits; 8 to 16 bytes a block.
#pragma once

#include <cstdint>
#include <vector>

#include "core/net/address.h"

namespace bw::geo {

class LocationTable {
 public:
  // Private space that nothing maps: the resolver's own address decides.
  static constexpr uint16_t kPrivate = 0xffff;

  struct Block {
    uint8_t length = 0;  // bits
    uint16_t list = 0;
  };
  Block find(const net::Ip& ip) const;
  size_t size() const { return v4_.size() + v6_.size(); }

 private:
  friend class LocationTableBuilder;
  template <typename Key>
  struct Row {
    Key start;
    uint16_t list;
    uint8_t length;
  };
  std::vector<Row<uint32_t>> v4_;
  std::vector<Row<uint64_t>> v6_;
};

class LocationTableBuilder {
 public:
  // Everything maps to `list`, but for private space.
  explicit LocationTableBuilder(uint16_t list);
  // Beats all that was set before inside the network. IPv6 beyond /64 is passed over.
  void set(const net::Network& network, uint16_t list);
  LocationTable build();

 private:
  // Binary trees; a node's record is another node or a leaf's list.
  static constexpr uint32_t kLeaf = 0x80000000;
  struct Tree {
    std::vector<std::array<uint32_t, 2>> nodes;
    uint32_t root = kLeaf;
    void set(uint64_t key, unsigned length, uint16_t list);
    uint32_t merge(uint32_t record);
    template <typename Visit>
    void each(uint32_t record, uint64_t key, unsigned depth, const Visit& visit) const;
  };
  Tree v4_, v6_;
};

// The first 64 bits of an address, IPv4 in the upper half.
uint64_t leading_bits(const net::Ip& ip);

}  // namespace bw::geo
