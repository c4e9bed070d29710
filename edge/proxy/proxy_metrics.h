// What the proxy counts, by site.
//
// requests = hits + stale + revalidated + misses + passes + limited + denied + errors.
// Threads: any; a site's series are looked up once and kept.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "core/base/metrics.h"
#include "edge/cache/reason.h"
#include "edge/guard/limits.h"
#include "edge/proxy/access_record.h"

namespace bw::edge {

// Why an upstream was asked: `breakwater_upstream_fetches_total{kind}`.
enum class FetchKind : uint8_t { miss, revalidate, refresh, pass };
constexpr int kFetchKinds = static_cast<int>(FetchKind::pass) + 1;
std::string_view to_text(FetchKind kind);

// The series of one site.
struct SiteMetrics {
  std::array<metrics::Counter*, kVerdicts> requests{};
  std::array<metrics::Counter*, kReasons> misses{};
  std::array<metrics::Counter*, kFetchKinds> fetches{};
  metrics::Counter* coalesced = nullptr;
  metrics::Gauge* origin_inflight = nullptr;
};

// The series of one limit, by LimitDecision::Verdict.
using LimitMetrics = std::array<metrics::Counter*, 3>;

class ProxyMetrics {
 public:
  explicit ProxyMetrics(metrics::Registry& registry);

  // Made at first use; live as long as this. Both lock: a worker keeps what they answer.
  const SiteMetrics& site(const std::string& name);
  LimitMetrics limit(const LimitRule& rule);

  metrics::Histogram& seconds;
  metrics::Counter& tier_refused;   // wrong tier tokens
  metrics::Counter& tier_unproved;  // tier answers without a valid position
  metrics::Counter& fill_pauses;    // of a fetch, because the memory tier had no room

 private:
  metrics::Family<metrics::Counter>& requests_;
  metrics::Family<metrics::Counter>& misses_;
  metrics::Family<metrics::Counter>& fetches_;
  metrics::Family<metrics::Counter>& coalesced_;
  metrics::Family<metrics::Gauge>& origin_inflight_;
  metrics::Family<metrics::Counter>& limits_;
  std::mutex mutex_;  // guards sites_
  std::map<std::string, SiteMetrics> sites_;
};

}  // namespace bw::edge
