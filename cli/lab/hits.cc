// A product is fetched once from the origin and then comes from the edge, over each protocol.
#include "cli/lab/step.h"

namespace bw::cli {
namespace {

struct Protocol {
  Ask::Over over;
  std::string_view name;
  std::string_view product;
};
constexpr Protocol kProtocols[] = {{Ask::Over::http1, "HTTP/1.1", "101"},
                                   {Ask::Over::http1_tls, "HTTP/1.1+TLS", "102"},
                                   {Ask::Over::http2_tls, "HTTP/2+TLS", "103"}};

double origin_requests(Lab& lab) {
  return lab.metric("origin", "breakwater_origin_requests_total");
}

Account over(Lab& lab, const Protocol& protocol) {
  const std::string target = "/v1/products/" + std::string(protocol.product);
  const auto wrong = [&](std::string_view what, const Got& got) {
    return broke(std::string(protocol.name) + ", " + std::string(what) + ": " + got.text() +
                 ", Age: " + got.field("age"));
  };
  const double hits = lab.metric("fra1-a", "breakwater_requests_total", "verdict=\"hit\"");
  const double fetched = origin_requests(lab);
  const Got miss = lab.get(lab.shop("fra1-a", target, protocol.over));
  if (miss.status != 200 || !cache_says(miss, "fra1-a", "fwd=") ||
      !cache_says(miss, "shield-a", "fwd=")) {
    return wrong("first request (both tiers must say fwd)", miss);
  }
  const Got hit = lab.get(lab.shop("fra1-a", target, protocol.over));
  if (hit.status != 200 || hit.body != miss.body || !cache_says(hit, "fra1-a", "hit") ||
      hit.field("age").empty()) {
    return wrong("second request (must be a hit with Age)", hit);
  }
  const bool http2 = protocol.over == Ask::Over::http2_tls;
  if ((hit.version == http::Version::http2) != http2) return wrong("wrong HTTP version", hit);
  // Another POP finds it at the shield.
  const Got near = lab.get(lab.shop("iad1-a", target, protocol.over));
  if (near.status != 200 || !cache_says(near, "shield-a", "hit") ||
      !cache_says(near, "iad1-a", "fwd=") || near.field("age").empty()) {
    return wrong("first request at iad1 (must be a hit of the shield with Age)", near);
  }
  if (lab.metric("fra1-a", "breakwater_requests_total", "verdict=\"hit\"") < hits + 1) {
    return broke("fra1-a did not count the hit");
  }
  if (origin_requests(lab) != fetched + 1) {
    return broke(std::string(protocol.name) + ": the origin counted " +
                 std::to_string(int(origin_requests(lab) - fetched)) + " requests instead of 1");
  }
  return held(std::string(protocol.name) + " " + milliseconds_text(miss.total) + " then " +
              milliseconds_text(hit.total));
}

}  // namespace

Account misses_become_hits(Lab& lab) {
  std::string all;
  for (const Protocol& protocol : kProtocols) {
    const Account account = over(lab, protocol);
    if (!account.held) return account;
    all += (all.empty() ? "" : "; ") + account.text;
  }
  return held(all);
}

}  // namespace bw::cli
