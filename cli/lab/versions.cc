// A write at the origin reaches every edge, also one that was away when it happened.
#include <algorithm>

#include "cli/lab/step.h"

namespace bw::cli {
namespace {

constexpr const char* kEdges[] = {"fra1-a", "iad1-a", "sin1-a"};

Got write_price(Lab& lab, const std::string& product, int cents) {
  const net::Address& to = lab.plan().part("origin").http;
  return lab.client().ask(Ask{.to = to,
                              .method = "PATCH",
                              .host = std::string(kShopHost),
                              .target = "/v1/products/" + product,
                              .fields = {{"content-type", "application/merge-patch+json"}},
                              .body = "{\"price_cents\":" + std::to_string(cents) + "}"});
}

int price_of(const Got& got) {
  const Result<text::Json> body = text::Json::parse(got.body);
  if (got.status != 200 || !body.ok()) return -1;
  return static_cast<int>(body->get("price_cents").as_int().value_or(-1));
}

// A price that differs from what is there now.
int other_price(const Got& got) { return price_of(got) == 1234567 ? 7654321 : 1234567; }

}  // namespace

Account new_version_on_each_edge(Lab& lab) {
  const std::string target = "/v1/products/42";
  int price = 0;
  for (const char* edge : kEdges) {
    (void)lab.get(lab.shop(edge, target));
    const Got hit = lab.get(lab.shop(edge, target));
    if (!cache_says(hit, edge, "hit")) {
      return broke("not cached at " + std::string(edge) + ": " + hit.text());
    }
    price = other_price(hit);
  }
  const double applied = lab.metric("fra1-a", "breakwater_purge_applied_total");
  const Got written = write_price(lab, "42", price);
  if (written.status != 200) return broke("the write: " + written.text());
  const MonoTime from = lab.clock().mono();
  for (const char* edge : kEdges) {
    Got got;
    const bool came = lab.until(
        [&] {
          got = lab.get(lab.shop(edge, target));
          return price_of(got) == price;
        },
        std::chrono::seconds(5));
    if (!came) return broke(std::string(edge) + " still has the old version: " + got.text());
  }
  const Duration last = lab.clock().mono() - from;
  for (const char* edge : kEdges) {
    const Got got = lab.get(lab.shop(edge, target));
    if (price_of(got) != price) return broke(std::string(edge) + " went back to the old version");
  }
  if (lab.metric("fra1-a", "breakwater_purge_applied_total") <= applied) {
    return broke("fra1-a counted no purge");
  }
  return held("new on all three " + milliseconds_text(last) + " after the write was answered");
}

Account stopped_node_forgets_the_old(Lab& lab) {
  const std::string target = "/v1/products/55";
  (void)lab.get(lab.shop("sin1-a", target));
  const Got old = lab.get(lab.shop("sin1-a", target));
  if (!cache_says(old, "sin1-a", "hit")) return broke("not cached before: " + old.text());
  const int price = other_price(old);
  if (const int code = lab.stop("sin1-a"); code != 0) {
    return broke("sin1-a stopped with exit code " + std::to_string(code));
  }
  if (const Got written = write_price(lab, "55", price); written.status != 200) {
    return broke("the write: " + written.text());
  }
  // Seen by a node that is there: so it is durable.
  const bool durable =
      lab.until([&] { return price_of(lab.get(lab.shop("iad1-a", target))) == price; },
                std::chrono::seconds(5));
  if (!durable) return broke("iad1-a never got the new version");
  std::string why;
  if (!lab.start("sin1-a", &why)) return broke(why);
  for (int i = 0; i < 50; ++i) {
    const Got got = lab.get(lab.shop("sin1-a", target));
    if (got.status == 200 && price_of(got) != price) {
      return broke("request " + std::to_string(i + 1) +
                   " after the start got the old version: " + got.text());
    }
    if (i == 49 && got.status != 200) return broke("after the start: " + got.text());
  }
  return held("50 requests from the first moment on, all new");
}

}  // namespace bw::cli
