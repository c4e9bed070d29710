// The closed list of reasons: why a request missed, was answered stale, or why nothing was stored.
//
// One enum for log, metric label, Cache-Status detail and explain; a text never changes.
#pragma once

#include <cstdint>
#include <string_view>

namespace bw::edge {

enum class Reason : uint8_t {
  none,
  absent,
  expired,
  purged,
  soft_purged,
  must_revalidate,
  lag,
  vary,
  request_no_cache,
  request_authorization,
  hit_for_miss,
  disk_busy,
  swr,
  stale_if_error,
  origin_budget,
  rule,
  url_expired,
  url_signature,
  url_network,
  // uncacheable: what NotStored says
  no_store,
  not_shared,  // private
  no_cache,
  set_cookie,
  authorization,
  vary_star,
  no_freshness,
  status,
  method,
  tags_overflow,
  too_large,
  partial,
  tier_unproved,
  purged_meanwhile,
  incomplete,
  no_room,  // memory keeps what is worth more, and there is no disk
  younger,  // what is stored began to be fetched later
};
constexpr int kReasons = static_cast<int>(Reason::younger) + 1;

// "absent", "uncacheable:no-store"; none: "".
std::string_view to_text(Reason reason);
constexpr bool is_uncacheable(Reason reason) { return reason >= Reason::no_store; }

}  // namespace bw::edge
