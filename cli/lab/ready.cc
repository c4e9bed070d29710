// Every process says that it is ready, and the registry knows the nodes.
#include "cli/lab/step.h"

namespace bw::cli {
namespace {

constexpr Duration kReady = std::chrono::seconds(15);

// Nodes that the registry calls ready.
size_t ready_nodes(Lab& lab) {
  const net::Address& to = lab.plan().part("purged").https;
  const Got got =
      lab.client().ask(Ask{.to = to,
                           .over = Ask::Over::http1_tls,
                           .host = to.text(),
                           .target = "/v1/nodes",
                           .fields = {{"authorization", "Bearer " + lab.plan().operator_token()}}});
  const Result<text::Json> body = text::Json::parse(got.body);
  size_t ready = 0;
  if (got.status != 200 || !body.ok()) return 0;
  for (const text::Json& node : body->get("nodes").items()) {
    ready += node.get("ready").as_bool().value_or(false) ? 1u : 0u;
  }
  return ready;
}

}  // namespace

Account all_are_ready(Lab& lab) {
  for (const Part& part : lab.plan().parts()) {
    Got got;
    const bool ready = lab.until(
        [&] {
          got = lab.admin(part.name, "/readyz");
          return got.status == 200;
        },
        kReady);
    if (!ready) return broke(part.name + ": /readyz says " + got.text() + " " + got.body);
  }
  size_t nodes = 0;
  if (!lab.until([&] { return (nodes = ready_nodes(lab)) == 4; }, kReady)) {
    return broke("the registry calls " + std::to_string(nodes) + " of 4 nodes ready");
  }
  return held(std::to_string(lab.plan().parts().size()) + " processes, 4 nodes in the registry");
}

}  // namespace bw::cli
