// RegistryWatch: asks the purge service once a second which nodes are ready.
//
// Threads: its loop's. Lifetime: destroy it outside its callback. Errors: a question that fails is
// counted, logged once, and changes nothing: the last answer holds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/executor.h"
#include "core/base/task.h"
#include "core/net/loop.h"
#include "geo/health.h"
#include "geo/metrics.h"
#include "purge/client/publisher.h"

namespace bw::geo {

class RegistryWatch {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(1);
  static constexpr Duration kTimeout = std::chrono::seconds(2);
  using Told = UniqueFunction<void(const std::vector<RegisteredNode>& nodes)>;

  RegistryWatch(net::Loop& loop, std::shared_ptr<purge::ServiceLink> link, Executor& executor,
                const DnsMetrics& metrics, Told told);
  // Whether the last question was answered; true before the first.
  bool following() const { return following_; }

 private:
  void ask();
  void answered(const Result<purge::PurgeAnswer>& answer);

  std::string url_;
  const DnsMetrics& metrics_;
  Told told_;
  bool following_ = true;
  bool asking_ = false;
  purge::Publisher publisher_;
  net::Timer timer_;
};

}  // namespace bw::geo
