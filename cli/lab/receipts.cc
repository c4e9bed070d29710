// Purges by URL, by prefix and of everything, each with a receipt of every node.
#include "cli/lab/step.h"

namespace bw::cli {
namespace {

constexpr const char* kEdges[] = {"fra1-a", "iad1-a", "sin1-a"};

// Nodes that a receipt says have applied it; the slowest in `slowest_ms`.
size_t applied(const Got& got, int64_t* slowest_ms) {
  const Result<text::Json> body = text::Json::parse(got.body);
  size_t count = 0;
  if (!body.ok()) return 0;
  for (const text::Json& receipt : body->get("receipts").items()) {
    if (receipt.get("state").as_string() != "applied") continue;
    ++count;
    *slowest_ms = std::max(*slowest_ms, receipt.get("applied_ms").as_int().value_or(0));
  }
  return count;
}

}  // namespace

Account purges_with_receipts(Lab& lab) {
  const std::string url = "https://" + std::string(kShopHost) + "/static/hello.txt";
  std::vector<std::pair<std::string, text::Json>> purges;
  purges.emplace_back("URL", text::Json::object().set("urls", text::Json::array().push(url)));
  purges.emplace_back(
      "prefix", text::Json::object().set(
                    "prefixes", text::Json::array().push(std::string(kShopHost) + "/static")));
  purges.emplace_back("everything",
                      text::Json::object().set("everything", true).set("mode", "hard"));
  std::string all;
  for (auto& [name, request] : purges) {
    for (const char* edge : kEdges) {
      (void)lab.get(lab.shop(edge, "/static/hello.txt"));
      const Got hit = lab.get(lab.shop(edge, "/static/hello.txt"));
      if (!cache_says(hit, edge, "hit")) {
        return broke("before the purge, " + std::string(edge) + ": " + hit.text());
      }
    }
    request.set("wait", "all").set("wait_timeout_ms", 5000).set("reason", "lab");
    const Got got = lab.purge("shop", request);
    int64_t slowest_ms = 0;
    const size_t nodes = applied(got, &slowest_ms);
    if (got.status != 200 || nodes != 4) {
      return broke(name + ": " + std::to_string(got.status) + ", applied by " +
                   std::to_string(nodes) + " of 4 nodes: " + got.body);
    }
    for (const char* edge : kEdges) {
      const Got after = lab.get(lab.shop(edge, "/static/hello.txt"));
      if (after.status != 200 || cache_says(after, edge, "hit")) {
        return broke(name + ", after the receipt " + edge + ": " + after.text());
      }
    }
    all += (all.empty() ? "" : "; ") + name + " " + std::to_string(slowest_ms) + " ms";
  }
  return held(all + " from durable to the last of 4 nodes");
}

}  // namespace bw::cli
