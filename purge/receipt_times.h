// ReceiptTimes: when the latest purges were durable, and when each node was known to have them.
//
// Bounds: kMaxPurges purges and kMaxTimes times of nodes: 8 bytes a time and 40 a purge, 12 MB in
// all. The oldest lose their times, not their receipts, which stand on the log itself.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "purge/client/position.h"

namespace bw::purge {

class ReceiptTimes {
 public:
  static constexpr size_t kMaxPurges = 100'000;
  static constexpr size_t kMaxTimes = 1'000'000;
  using ByNode = std::unordered_map<uint32_t, MonoTime>;  // by Registry::Node::number

  // A purge that ends at `last`, above all before it.
  void durable(Position last, MonoTime now);
  // A node's position rose: it has all purges in (from, to] now.
  void applied(uint32_t node, Position from, Position to, MonoTime now);

  std::optional<MonoTime> durable_at(Position last) const;
  ByNode applied_at(Position last) const;
  size_t purges() const { return purges_.size(); }
  size_t times() const { return times_; }

 private:
  struct Time {
    uint32_t node;
    uint32_t after_ms;  // since durability
  };
  struct Purge {
    Position last;
    MonoTime durable_at;
    std::vector<Time> times;
  };
  const Purge* find(Position last) const;
  void drop_oldest();

  std::deque<Purge> purges_;  // rising
  size_t times_ = 0;
};

}  // namespace bw::purge
