// Which member of a group gets the next fetch: pure functions over a snapshot of the members.
//
// Members are chosen among those that are up (not ejected, not draining) in the lowest priority
// that has any; when ejections leave none, all that aren't draining count as up: a guess about
// health never makes an outage of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace bw::edge {

enum class Balance : uint8_t { round_robin, least_requests, hash, weighted };
std::string_view to_text(Balance balance);

// One member as the balancer sees it.
struct MemberView {
  uint64_t id = 0;  // stable over restarts and nodes: the hash of its address
  uint32_t weight = 1;
  uint32_t priority = 0;  // lower first
  uint32_t inflight = 0;
  bool ejected = false;
  bool drain = false;
  bool tried = false;  // by this request already
};

// What the choice may depend on.
struct PickInput {
  Balance balance = Balance::least_requests;
  uint64_t key_hash = 0;  // hash: rendezvous over member ids, so that one member's loss moves only
                          // what it held
  uint64_t turn = 0;      // round_robin: a counter
  uint64_t random = 0;    // least_requests: ties; weighted: the draw
};

// The index of the chosen member; nullopt: every member was tried or drains.
std::optional<size_t> pick_member(std::span<const MemberView> members, const PickInput& input);

}  // namespace bw::edge
