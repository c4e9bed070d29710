// What the admin API shows and asks of a running node.
//
// Threads: the control loop's. Lifetime: the node outlives its admin API.
#pragma once

#include <string>

#include "core/base/metrics.h"
#include "core/base/task.h"
#include "core/text/json.h"
#include "edge/cache/store.h"
#include "edge/proxy/snapshot.h"

namespace bw::edge {

struct Readiness {
  bool ready = false;
  std::string reason;                 // of 503: catching_up | draining | lag
  std::vector<std::string> degraded;  // log_lag, disk, tier, config
};

class NodeState {
 public:
  virtual ~NodeState() = default;
  virtual Readiness readiness() const = 0;
  // The body of /v1/status.
  virtual text::Json status() const = 0;
  virtual const metrics::Registry& metrics() const = 0;
  virtual Store& store() = 0;
  virtual std::shared_ptr<const Snapshot> snapshot() const = 0;
  // Reads the file again; `done` gets "" or what is wrong with it.
  virtual void reload(UniqueFunction<void(std::string)> done) = 0;
};

}  // namespace bw::edge
