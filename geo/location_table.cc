#include "geo/location_table.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/check.h"

namespace bw::geo {
namespace {

// Nobody's location: RFC 1918, 6598, 3927, 4193, 4291 and loopback.
constexpr std::array<std::string_view, 9> kPrivateSpace = {
    "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "::/64",         "fc00::/7",    "fe80::/10"};

}  // namespace

uint64_t leading_bits(const net::Ip& ip) {
  uint64_t bits = 0;
  const size_t size = ip.v6 ? 8 : 4;
  for (size_t i = 0; i < size; ++i) bits |= uint64_t{ip.bytes[i]} << (56 - 8 * i);
  return bits;
}

LocationTable::Block LocationTable::find(const net::Ip& ip) const {
  const uint64_t bits = leading_bits(ip);
  const auto look = [](const auto& rows, auto key) {
    auto at = std::upper_bound(rows.begin(), rows.end(), key,
                               [](auto value, const auto& row) { return value < row.start; });
    --at;  // the first row starts at zero
    return Block{at->length, at->list};
  };
  return ip.v6 ? look(v6_, bits) : look(v4_, static_cast<uint32_t>(bits >> 32));
}

LocationTableBuilder::LocationTableBuilder(uint16_t list) {
  v4_.root = v6_.root = kLeaf | list;
  for (std::string_view text : kPrivateSpace) {
    set(*net::Network::parse(text), LocationTable::kPrivate);
  }
}

void LocationTableBuilder::set(const net::Network& network, uint16_t list) {
  if (network.base.v6 && network.length > 64) return;
  (network.base.v6 ? v6_ : v4_).set(leading_bits(network.base), network.length, list);
}

void LocationTableBuilder::Tree::set(uint64_t key, unsigned length, uint16_t list) {
  // `nodes` grows on the way, so places are numbers: node and side.
  uint32_t at = kLeaf;
  size_t side = 0;
  const auto record = [&]() -> uint32_t& { return at == kLeaf ? root : nodes[at][side]; };
  for (unsigned bit = 0; bit < length; ++bit) {
    uint32_t here = record();
    if ((here & kLeaf) != 0) {  // what was there holds for both halves
      nodes.push_back({here, here});
      here = static_cast<uint32_t>(nodes.size() - 1);
      record() = here;
    }
    at = here;
    side = key >> (63 - bit) & 1;
  }
  record() = kLeaf | list;
}

uint32_t LocationTableBuilder::Tree::merge(uint32_t record) {
  if ((record & kLeaf) != 0) return record;
  const uint32_t left = merge(nodes[record][0]);
  const uint32_t right = merge(nodes[record][1]);
  if (left == right && (left & kLeaf) != 0) return left;
  nodes[record] = {left, right};
  return record;
}

template <typename Visit>
void LocationTableBuilder::Tree::each(uint32_t record, uint64_t key, unsigned depth,
                                      const Visit& visit) const {
  if ((record & kLeaf) != 0) {
    visit(key, static_cast<uint8_t>(depth), static_cast<uint16_t>(record & 0xffff));
    return;
  }
  BW_CHECK(depth < 64);
  each(nodes[record][0], key, depth + 1, visit);
  each(nodes[record][1], key | uint64_t{1} << (63 - depth), depth + 1, visit);
}

LocationTable LocationTableBuilder::build() {
  LocationTable table;
  v4_.root = v4_.merge(v4_.root);
  v6_.root = v6_.merge(v6_.root);
  v4_.each(v4_.root, 0, 0, [&](uint64_t key, uint8_t length, uint16_t list) {
    table.v4_.push_back({static_cast<uint32_t>(key >> 32), list, length});
  });
  v6_.each(v6_.root, 0, 0, [&](uint64_t key, uint8_t length, uint16_t list) {
    table.v6_.push_back({key, list, length});
  });
  table.v4_.shrink_to_fit();
  table.v6_.shrink_to_fit();
  return table;
}

}  // namespace bw::geo
