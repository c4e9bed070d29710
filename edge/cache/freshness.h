// Whether a response may be stored, how long it is fresh, and whether it may answer now.
//
// Pure functions of heads, policy and times. See: RFC 9111 sections 3, 4.2, 5.2; RFC 5861;
// RFC 9213 for targeted fields.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/clock.h"
#include "core/http/message.h"
#include "edge/cache/cache_policy.h"
#include "edge/cache/reason.h"

namespace bw::edge {

enum class LifetimeFrom : uint8_t {
  none,
  targeted,  // a field of policy.target_headers
  s_maxage,
  max_age,
  expires,
  status_ttl,
  default_ttl,
  heuristic,
};
std::string_view to_text(LifetimeFrom from);

// The numbers of a stored response; seconds. Plain data, kept in its meta.
struct Freshness {
  WallTime response_time;     // when its head came
  int64_t initial_age_s = 0;  // corrected_initial_age (RFC 9111 4.2.3)
  int64_t lifetime_s = 0;     // bounded by max_ttl
  int64_t swr_s = 0;          // stale-while-revalidate
  int64_t sie_s = 0;          // stale-if-error
  LifetimeFrom from = LifetimeFrom::none;
  bool must_revalidate = false;  // never stale without validation
  bool no_cache = false;         // validated before each use
  bool age_reset = false;        // Age counts from this tier (policy.age = reset)
  friend bool operator==(const Freshness&, const Freshness&) = default;
};

int64_t current_age_s(const Freshness& freshness, WallTime now);
// Seconds of freshness left; negative when stale.
int64_t ttl_s(const Freshness& freshness, WallTime now);
// The Age to send.
int64_t age_to_send_s(const Freshness& freshness, WallTime now);

// When a response's request was sent and its head came.
struct ExchangeTimes {
  WallTime requested;
  WallTime received;
};

struct Judgement {
  Reason refused = Reason::none;  // none: may be stored
  Freshness freshness;
  bool strip_set_cookie = false;  // store and deliver to others without Set-Cookie
  bool storable() const { return refused == Reason::none; }
};

// May this response to this request be stored for others, and how long is it fresh? Judges heads
// only: size, tags, Vary limits and purges are the store's.
Judgement judge(const http::RequestHead& request, const http::ResponseHead& response,
                const SitePolicy& policy, ExchangeTimes times);

// What a stored response is good for now, before purges are asked.
struct Reuse {
  enum class Verdict : uint8_t {
    fresh,
    stale_while_revalidate,  // answer, and refresh in the background
    revalidate,              // validate (or fetch) first
  };
  Verdict verdict = Verdict::revalidate;
  Reason reason = Reason::none;  // swr, expired, must_revalidate, request_no_cache
  int64_t ttl = 0;               // negative when stale
  bool stale_if_error = false;   // may answer now if the fetch fails
};
Reuse judge_reuse(const Freshness& freshness, const http::RequestHead& request,
                  const SitePolicy& policy, WallTime now);

// only-if-cached, unless the policy ignores request directives: 504 instead of a fetch.
bool only_if_cached(const http::RequestHead& request, const SitePolicy& policy);

}  // namespace bw::edge
