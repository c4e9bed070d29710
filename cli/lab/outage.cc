// What is left when something is killed: stale answers of a dead origin, the disk of a dead edge.
#include "cli/lab/step.h"

namespace bw::cli {

Account dead_origin_leaves_stale(Lab& lab) {
  const std::string kept = "/v1/products/77";
  (void)lab.get(lab.shop("fra1-a", kept));
  const Got hit = lab.get(lab.shop("fra1-a", kept));
  if (!cache_says(hit, "fra1-a", "hit")) return broke("not cached before: " + hit.text());
  lab.kill("origin");
  // A soft purge makes it stale at once.
  const Got purged = lab.purge("shop", text::Json::object()
                                           .set("tags", text::Json::array().push("product-77"))
                                           .set("mode", "soft")
                                           .set("wait", "all")
                                           .set("wait_timeout_ms", 5000));
  if (purged.status != 200) return broke("the soft purge: " + purged.text() + " " + purged.body);
  std::string marked;
  for (int i = 0; i < 3; ++i) {
    const Got stale = lab.get(lab.shop("fra1-a", kept));
    const std::string status = stale.field("cache-status");
    const bool told = status.find("detail=swr") != std::string::npos ||
                      status.find("stale-if-error") != std::string::npos ||
                      status.find("ttl=-") != std::string::npos;
    if (stale.status != 200 || stale.body != hit.body || !told) {
      return broke("stale answer " + std::to_string(i + 1) +
                   " (must be 200 and marked): " + stale.text());
    }
    marked = status;
  }
  const Got lost = lab.get(lab.shop("fra1-a", "/v1/products/9876"));
  if (lost.status != 502) return broke("what was never cached: " + lost.text() + ", not 502");
  std::string why;
  if (!lab.start("origin", &why)) return broke(why);
  Got again;
  const bool back = lab.until(
      [&] {
        again = lab.get(lab.shop("fra1-a", "/v1/products/9876"));
        return again.status == 200;
      },
      std::chrono::seconds(20));
  if (!back) return broke("after the origin came back: " + again.text());
  return held("stale as " + marked + "; 502 for the rest");
}

Account killed_edge_serves_from_disk(Lab& lab) {
  const std::string path = "/fresh/on-disk";
  (void)lab.get(lab.scripted("iad1-a", path));
  const Got hit = lab.get(lab.scripted("iad1-a", path));
  if (!cache_says(hit, "iad1-a", "hit")) return broke("not cached before: " + hit.text());
  // Written behind the answer: the node says when.
  const bool written = lab.until(
      [&] {
        const Result<text::Json> status = text::Json::parse(lab.admin("iad1-a", "/v1/status").body);
        return status.ok() && status->get("disk").get("objects").as_int().value_or(0) > 0;
      },
      std::chrono::seconds(10));
  if (!written) return broke("iad1-a says that nothing is on its disk");
  const uint64_t fetched = lab.script().count(path);
  const double before = lab.metric("shield-a", "breakwater_requests_total", "site=\"script\"");
  lab.kill("iad1-a");
  std::string why;
  if (!lab.start("iad1-a", &why)) return broke(why);
  // Until it hears from the purge service again it revalidates what it has, as on_lag says.
  Got ready;
  const bool heard = lab.until(
      [&] {
        ready = lab.admin("iad1-a", "/readyz");
        return ready.status == 200 && ready.body.find("log_lag") == std::string::npos;
      },
      std::chrono::seconds(10));
  if (!heard) return broke("after the restart /readyz says " + ready.text() + " " + ready.body);
  const Got after = lab.get(lab.scripted("iad1-a", path));
  if (after.status != 200 || after.body != hit.body || !cache_says(after, "iad1-a", "hit")) {
    return broke("after the restart: " + after.text());
  }
  if (lab.script().count(path) != fetched) return broke("the origin was asked again");
  // Probes of GeoDNS may have passed in between, this object not.
  const double asked =
      lab.metric("shield-a", "breakwater_requests_total", "site=\"script\"") - before;
  if (asked > 3) return broke("the shield was asked " + std::to_string(int(asked)) + " times");
  return held("first answer after kill -9: " + after.field("cache-status"));
}

}  // namespace bw::cli
