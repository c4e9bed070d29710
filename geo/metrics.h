// Metrics of the GeoDNS program, declared once.
//
// Threads: any. Relation: every query that is read is counted in `queries` once by its outcome;
// limited answers are those with TC for want of a cookie.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/metrics.h"

namespace bw::geo {

// What became of a query: label `outcome`.
enum class Outcome : uint8_t {
  answer,
  nodata,
  nxdomain,
  referral,
  refused,
  formerr,
  notimp,
  badvers,
  cookie,   // no question, a cookie was told
  limited,  // TC without records, over the response rate
  silence,  // no answer at all
};
inline constexpr size_t kOutcomes = 11;

struct DnsMetrics {
  explicit DnsMetrics(metrics::Registry& registry);
  // By transport (0 UDP, 1 TCP) and outcome.
  std::array<std::array<metrics::Counter*, kOutcomes>, 2> queries;
  metrics::Counter& truncated;
  metrics::Counter& with_subnet;
  metrics::Counter& all_down;
  metrics::Counter& udp_dropped_in;
  metrics::Counter& udp_dropped_out;
  metrics::Counter& tcp_connections;
  metrics::Counter& tcp_refused;
  metrics::Family<metrics::Gauge>& address_up;
  metrics::Family<metrics::Counter>& probes;
  metrics::Counter& registry_failures;
  metrics::Counter& reload_failures;

  void count(bool tcp, Outcome outcome) const { queries[tcp ? 1 : 0][size_t(outcome)]->add(); }
};

}  // namespace bw::geo
