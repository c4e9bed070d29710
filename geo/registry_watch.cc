#include "geo/registry_watch.h"

#include <utility>

#include "core/base/log.h"

namespace bw::geo {

RegistryWatch::RegistryWatch(net::Loop& loop, std::shared_ptr<purge::ServiceLink> link,
                             Executor& executor, const DnsMetrics& metrics, Told told)
    : url_(link->url()),
      metrics_(metrics),
      told_(std::move(told)),
      publisher_(loop, std::move(link), &executor),
      timer_(loop, [this] { ask(); }) {
  timer_.arm(Duration::zero());
}

void RegistryWatch::ask() {
  timer_.arm(kInterval);
  if (asking_) return;
  asking_ = true;
  publisher_.get("/v1/nodes", kTimeout, [this](Result<purge::PurgeAnswer> answer) {
    asking_ = false;
    answered(answer);
  });
}

void RegistryWatch::answered(const Result<purge::PurgeAnswer>& answer) {
  std::string wrong;
  if (!answer) {
    wrong = describe(answer.error());
  } else if (answer->status != 200) {
    wrong = "status " + std::to_string(answer->status);
  } else {
    const Result<std::vector<RegisteredNode>> nodes = parse_nodes(answer->body);
    if (nodes.ok()) {
      if (!following_) log::info("registry: " + url_ + " answers again");
      following_ = true;
      told_(*nodes);
      return;
    }
    wrong = describe(nodes.error());
  }
  metrics_.registry_failures.add();
  if (following_) log::warning("registry: " + url_ + ": " + wrong + "; its last word holds");
  following_ = false;
}

}  // namespace bw::geo
