#include "geo/metrics.h"

#include <string_view>

namespace bw::geo {
namespace {

constexpr std::array<std::string_view, kOutcomes> kOutcomeNames = {
    "answer", "nodata",  "nxdomain", "referral", "refused", "formerr",
    "notimp", "badvers", "cookie",   "limited",  "silence"};

}  // namespace

DnsMetrics::DnsMetrics(metrics::Registry& registry)
    : truncated(
          registry
              .counter("breakwater_dns_truncated_total", "UDP answers that did not fit and said TC")
              .with({})),
      with_subnet(
          registry.counter("breakwater_dns_subnet_total", "queries that named a client subnet")
              .with({})),
      all_down(
          registry
              .counter("breakwater_dns_all_down_total", "answers given although no POP was good")
              .with({})),
      udp_dropped_in(registry
                         .counter("breakwater_dns_udp_dropped_in_total",
                                  "UDP packets that were too long or came from port 0")
                         .with({})),
      udp_dropped_out(registry
                          .counter("breakwater_dns_udp_dropped_out_total",
                                   "UDP answers that a full queue or the kernel refused")
                          .with({})),
      tcp_connections(
          registry
              .counter("breakwater_dns_tcp_connections_total", "DNS connections accepted over TCP")
              .with({})),
      tcp_refused(registry
                      .counter("breakwater_dns_tcp_refused_total",
                               "DNS connections over a limit, closed at once")
                      .with({})),
      address_up(
          registry.gauge("breakwater_pop_address_up", "1: healthy, 0: down", {"pop", "address"})),
      probes(registry.counter("breakwater_probes_total", "probes of addresses", {"pop", "result"})),
      registry_failures(registry
                            .counter("breakwater_registry_failures_total",
                                     "questions to the purge service's registry that failed")
                            .with({})),
      reload_failures(registry
                          .counter("breakwater_reload_failures_total",
                                   "reloads of file or database that kept the old one")
                          .with({})) {
  auto& family = registry.counter("breakwater_dns_queries_total", "queries by what became of them",
                                  {"transport", "outcome"});
  for (size_t i = 0; i < kOutcomes; ++i) {
    queries[0][i] = &family.with({"udp", kOutcomeNames[i]});
    queries[1][i] = &family.with({"tcp", kOutcomeNames[i]});
  }
}

}  // namespace bw::geo
