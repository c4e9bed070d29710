#include "cli/lab/step.h"

#include <array>
#include <cstdio>

namespace bw::cli {
namespace {

constexpr std::array<Step, 16> kSteps = {{
    {"every process is ready", all_are_ready},
    {"a miss, then hits, over HTTP/1.1, TLS and HTTP/2", misses_become_hits},
    {"200 clients on one cold object: one fetch", one_fetch_for_a_crowd},
    {"304, HEAD, a range, a Vary pair", conditions_ranges_variants},
    {"a product written: the new version on each edge", new_version_on_each_edge},
    {"URL, prefix and everything purged, with receipts", purges_with_receipts},
    {"a limit answers 429 and lets others through", limit_refuses_and_lets_through},
    {"three clients, three POPs, UDP and TCP", three_clients_three_pops},
    {"an uncacheable answer releases all who wait", uncacheable_releases_all},
    {"1 GiB through a 64 MiB memory tier, byte-exact", giant_through_a_small_memory},
    {"explain says why one URL hits and another misses", explain_says_why},
    {"an upload of 50 MiB with back-pressure", upload_with_back_pressure},
    {"a node that was away never serves the old version", stopped_node_forgets_the_old},
    {"an edge killed and started again serves from disk", killed_edge_serves_from_disk},
    {"one POP killed: the name has the others", killed_pop_is_left_out},
    {"the origin killed: stale, marked; else 502", dead_origin_leaves_stale},
}};

constexpr std::array<Step, 6> kStory = {
    {kSteps[0], kSteps[1], kSteps[2], kSteps[4], kSteps[6], kSteps[7]}};

}  // namespace

std::span<const Step> all_steps() { return kSteps; }
std::span<const Step> story_steps() { return kStory; }

bool cache_says(const Got& got, std::string_view node, std::string_view parameter) {
  const std::string all = got.field("cache-status");
  std::string_view rest = all;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(','), rest.size());
    std::string_view member = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    member.remove_prefix(std::min(member.find_first_not_of(" \""), member.size()));
    if (member.starts_with(node) && member.find(parameter) != std::string_view::npos) return true;
  }
  return false;
}

std::string milliseconds_text(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(duration.count()) / 1e6);
  return text;
}

}  // namespace bw::cli
