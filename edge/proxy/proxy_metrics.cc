#include "edge/proxy/proxy_metrics.h"

namespace bw::edge {

std::string_view to_text(FetchKind kind) {
  switch (kind) {
    case FetchKind::miss:
      return "miss";
    case FetchKind::revalidate:
      return "revalidate";
    case FetchKind::refresh:
      return "refresh";
    case FetchKind::pass:
      return "pass";
  }
  return "";
}

ProxyMetrics::ProxyMetrics(metrics::Registry& registry)
    : seconds(registry
                  .histogram("breakwater_request_seconds",
                             "time from a request's head to its answer's last byte")
                  .with({})),
      tier_refused(
          registry
              .counter("breakwater_tier_refused_total", "requests refused for a wrong tier token")
              .with({})),
      tier_unproved(registry
                        .counter("breakwater_tier_unproved_total",
                                 "answers of a tier without a valid purge position; served, "
                                 "never stored")
                        .with({})),
      fill_pauses(registry
                      .counter("breakwater_fill_pauses_total",
                               "times a fetch under way waited for its readers because memory "
                               "had no room to read ahead of them")
                      .with({})),
      requests_(registry.counter("breakwater_requests_total", "requests by how they were answered",
                                 {"site", "verdict"})),
      misses_(registry.counter("breakwater_misses_total",
                               "requests that the cache didn't answer, by reason",
                               {"site", "reason"})),
      fetches_(registry.counter("breakwater_upstream_fetches_total",
                                "requests sent to shields and origins", {"site", "kind"})),
      coalesced_(registry.counter("breakwater_coalesced_total",
                                  "requests that followed a fetch under way", {"site"})),
      origin_inflight_(registry.gauge("breakwater_origin_inflight",
                                      "fetches under way to shields and origins", {"site"})),
      limits_(registry.counter("breakwater_limit_decisions_total", "decisions of rate limits",
                               {"site", "limit", "mode", "decision"})) {}

const SiteMetrics& ProxyMetrics::site(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto [entry, made] = sites_.try_emplace(name);
  SiteMetrics& site = entry->second;
  if (made) {
    for (int i = 0; i < kVerdicts; ++i) {
      site.requests[static_cast<size_t>(i)] =
          &requests_.with({name, to_text(static_cast<Verdict>(i))});
    }
    for (int i = 0; i < kReasons; ++i) {
      site.misses[static_cast<size_t>(i)] = &misses_.with({name, to_text(static_cast<Reason>(i))});
    }
    for (int i = 0; i < kFetchKinds; ++i) {
      site.fetches[static_cast<size_t>(i)] =
          &fetches_.with({name, to_text(static_cast<FetchKind>(i))});
    }
    site.coalesced = &coalesced_.with({name});
    site.origin_inflight = &origin_inflight_.with({name});
  }
  return site;
}

LimitMetrics ProxyMetrics::limit(const LimitRule& rule) {
  LimitMetrics made{};
  for (size_t i = 0; i < made.size(); ++i) {
    made[i] = &limits_.with({rule.site, rule.name, rule.shadow ? "shadow" : "enforce",
                             to_text(static_cast<LimitDecision::Verdict>(i))});
  }
  return made;
}

}  // namespace bw::edge
