#include "cli/lab/replay.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "cli/lab/step.h"

namespace bw::cli {
namespace {

constexpr const char* kEdge = "fra1-a";
constexpr uint64_t kTellEvery = 20'000;

// What one tier answered.
struct Tier {
  const char* name;
  uint64_t requests = 0;
  uint64_t bytes = 0;
  std::vector<float> ms = {};

  void add(const Got& got) {
    ++requests;
    bytes += got.size;
    ms.push_back(static_cast<float>(got.first_byte.count()) / 1e6f);
  }
  void print() {
    if (requests == 0) return;
    std::sort(ms.begin(), ms.end());
    const auto at = [&](double share) {
      return static_cast<double>(ms[size_t(double(ms.size() - 1) * share)]);
    };
    std::printf("  %-7s %9llu answers; first byte p50 %.2f ms, p90 %.2f, p99 %.2f, p99.9 %.2f\n",
                name, static_cast<unsigned long long>(requests), at(0.5), at(0.9), at(0.99),
                at(0.999));
  }
};

double percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

bool replay(Lab& lab, Trace& trace, const ReplayOptions& options, std::string* why) {
  std::array<Tier, 3> tiers = {{{"edge"}, {"shield"}, {"origin"}}};
  uint64_t asked = 0, skipped = 0, failed = 0, wrong = 0;
  std::string broken;
  const double fetched = lab.metric("origin", "breakwater_origin_requests_total");
  const MonoTime from = lab.clock().mono();
  lab.client().flow(
      options.together,
      [&](Ask& ask) {
        for (;;) {
          const std::optional<TraceRequest> request = trace.next(&broken);
          if (!request) return false;
          if (request->size > options.max_object) {
            ++skipped;
            continue;
          }
          ask = lab.shop(kEdge,
                         "/synthetic/" + request->key + "?size=" + std::to_string(request->size),
                         Ask::Over::http1);
          ask.upload = 0;
          ask.wanted = request->size;
          ask.on_piece = [](uint64_t, std::string_view) {};
          if (++asked % kTellEvery == 0) {
            std::printf("  %llu requests...\n", static_cast<unsigned long long>(asked));
            std::fflush(stdout);
          }
          return true;
        }
      },
      [&](const Ask& ask, const Got& got) {
        if (got.status != 200 || got.error) {
          if (++failed == 1) std::printf("  first failure: %s\n", got.text().c_str());
          return;
        }
        if (got.size != ask.wanted) ++wrong;
        const bool edge = cache_says(got, kEdge, "hit");
        const bool shield = !edge && cache_says(got, "shield-a", "hit");
        tiers[edge ? 0 : shield ? 1 : 2].add(got);
      });
  if (!broken.empty()) {
    *why = broken;
    return false;
  }
  const double seconds = static_cast<double>((lab.clock().mono() - from).count()) / 1e9;
  uint64_t requests = 0, bytes = 0;
  for (const Tier& tier : tiers) {
    requests += tier.requests;
    bytes += tier.bytes;
  }
  std::printf(
      "replayed %s: %llu requests, %llu bytes in %.1f s (%llu skipped, %llu failed, %llu of "
      "another length)\n",
      options.name.c_str(), static_cast<unsigned long long>(requests),
      static_cast<unsigned long long>(bytes), seconds, static_cast<unsigned long long>(skipped),
      static_cast<unsigned long long>(failed), static_cast<unsigned long long>(wrong));
  std::printf(
      "  hit ratio %.2f %% at the edge, %.2f %% with the shield; by bytes %.2f %%, %.2f %%\n",
      percent(tiers[0].requests, requests),
      percent(tiers[0].requests + tiers[1].requests, requests), percent(tiers[0].bytes, bytes),
      percent(tiers[0].bytes + tiers[1].bytes, bytes));
  std::printf("  origin fetches %.0f\n",
              lab.metric("origin", "breakwater_origin_requests_total") - fetched);
  for (Tier& tier : tiers) tier.print();
  std::fflush(stdout);
  if (failed + wrong > 0) {
    *why = std::to_string(failed + wrong) + " requests were not answered as they should";
    return false;
  }
  return true;
}

}  // namespace bw::cli
