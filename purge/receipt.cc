#include "purge/receipt.h"

#include <algorithm>

namespace bw::purge {
namespace {

bool must_be_fenced(const NodeStanding& node, int tiers, std::optional<MonoTime> durable_at,
                    MonoTime now) {
  if (!node.fences) return false;
  const MonoTime fenced_at = node.last_echo + node.lag_limit;
  if (now < fenced_at) return false;
  const MonoTime from = durable_at ? std::max(fenced_at, *durable_at) : fenced_at;
  return now - from >= node.lag_limit * tiers;
}

}  // namespace

std::string_view to_text(Delivery delivery) {
  switch (delivery) {
    case Delivery::applied:
      return "applied";
    case Delivery::fenced:
      return "fenced";
    case Delivery::lagging:
      return "lagging";
  }
  return "lagging";
}

bool Receipt::met(Wait wait) const {
  if (wait == Wait::none) return true;
  return std::all_of(nodes.begin(), nodes.end(), [wait](const NodeReceipt& node) {
    return node.state != Delivery::lagging || (wait == Wait::shield && !node.shield);
  });
}

Receipt make_receipt(const std::vector<NodeStanding>& nodes, Position last,
                     std::optional<MonoTime> durable_at, MonoTime now) {
  const bool any_shield =
      std::any_of(nodes.begin(), nodes.end(), [](const NodeStanding& n) { return n.shield; });
  const int tiers = any_shield ? 2 : 1;
  Receipt receipt;
  bool fenced_shield = false;
  for (const NodeStanding& node : nodes) {
    NodeReceipt one;
    one.node = node.name;
    one.pop = node.pop;
    one.shield = node.shield;
    one.applied = node.on_history && node.applied >= last;
    if (one.applied) {
      one.state = Delivery::applied;
      if (durable_at && node.applied_at) {
        one.applied_ms = std::max<int64_t>(0, (*node.applied_at - *durable_at).count() / 1'000'000);
      }
    } else if (must_be_fenced(node, tiers, durable_at, now)) {
      one.state = Delivery::fenced;
      fenced_shield = fenced_shield || node.shield;
    }
    receipt.nodes.push_back(std::move(one));
  }
  // What such a shield last gave them may be as old as its own fence allows.
  for (NodeReceipt& one : receipt.nodes) {
    if (fenced_shield && !one.shield && one.applied) one.state = Delivery::fenced;
  }
  return receipt;
}

}  // namespace bw::purge
