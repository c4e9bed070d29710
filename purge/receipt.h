// Who has a purge, and whether a wait for it is met; who "all" are, as pure rules.
//
// A node that hasn't applied counts as met, named `fenced`, once it must have fenced itself: its
// site revalidates or fails; `lag_limit` has passed since its last echo; and then `lag_limit` x
// tiers since the later of that and durability. Edges behind a fenced shield are fenced too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "purge/client/record.h"
#include "purge/purge_request.h"

namespace bw::purge {

// What the registry knows of one node, as far as a receipt needs it.
struct NodeStanding {
  std::string name;
  std::string pop;
  bool shield = false;
  Position applied;
  bool on_history = true;              // its (applied, chain) lies on this log
  std::optional<MonoTime> applied_at;  // when it was known to have this purge
  MonoTime last_echo;                  // latest time an echo it counts may have been sent
  Duration lag_limit{};
  bool fences = true;  // its site's on_lag is not `serve`
};

enum class Delivery : uint8_t { applied, fenced, lagging };
std::string_view to_text(Delivery delivery);

struct NodeReceipt {
  std::string node;
  std::string pop;
  bool shield = false;
  Delivery state = Delivery::lagging;
  bool applied = false;
  std::optional<int64_t> applied_ms;  // since durability
};

struct Receipt {
  std::vector<NodeReceipt> nodes;
  bool met(Wait wait) const;
};

// `last`: the purge's last position; `durable_at`: unknown for a purge of an earlier process.
Receipt make_receipt(const std::vector<NodeStanding>& nodes, Position last,
                     std::optional<MonoTime> durable_at, MonoTime now);

}  // namespace bw::purge
