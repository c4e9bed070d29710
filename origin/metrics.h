// What the origin counts.
#pragma once

#include "core/base/metrics.h"

namespace bw::origin {

struct OriginMetrics {
  explicit OriginMetrics(metrics::Registry& r)
      : requests(r.counter("breakwater_origin_requests_total", "requests, by what they asked for",
                           {"route"})),
        bytes_in(r.counter("breakwater_origin_received_bytes_total", "bytes of uploads").with({})),
        purges(r.counter("breakwater_origin_purges_total",
                         "answers of the purge service to published writes", {"result"})),
        outbox(r.gauge("breakwater_origin_outbox_entries",
                       "writes whose purge is not durable at the purge service yet")
                   .with({})) {}

  metrics::Family<metrics::Counter>& requests;
  metrics::Counter& bytes_in;
  metrics::Family<metrics::Counter>& purges;  // durable | refused | retried
  metrics::Gauge& outbox;
};

}  // namespace bw::origin
