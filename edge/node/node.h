// Node: an edge or shield put together: listeners and workers, cache, purge feed, admin.
//
// Threads: one loop a worker; the control loop is main's: signals, admin, the purge feed, look-ups.
// Lifetime: start() then run(), which returns after a stop was asked and what was under way ended,
// at latest after drain_timeout. Sockets are bound before privileges are dropped; clients wait in
// the listen queues until this node has caught up with the log, or lag_limit has passed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/metrics.h"
#include "core/base/reload_turns.h"
#include "core/http/admin_listener.h"
#include "core/http/server.h"
#include "core/net/listener.h"
#include "core/net/loop.h"
#include "core/net/loop_thread.h"
#include "core/net/signals.h"
#include "edge/cache/disk_tier.h"
#include "edge/cache/purge_journal.h"
#include "edge/cache/store.h"
#include "edge/node/access_log.h"
#include "edge/node/loaded.h"
#include "edge/node/purge_feed.h"
#include "edge/node/settings.h"
#include "edge/node/sites.h"
#include "edge/proxy/coalescer.h"
#include "edge/proxy/worker.h"

namespace bw::edge {

class Node final : public http::AdminSource {
 public:
  Node(EdgeFlags flags, EdgeSettings settings, Clock& clock, Random& random);
  ~Node() override;

  // Everything that can fail beyond the settings themselves. `why` receives a line for people.
  bool start(std::string* why);
  void run();
  int exit_code() const { return exit_code_; }
  // The section of docs/metrics.md: what a node declares, whatever its settings.
  static std::string metrics_markdown();

 private:
  struct Entry;   // one listener on one worker
  struct Thread;  // one worker

  http::Readiness readiness() const override;
  std::string status_body() const override;
  const metrics::Registry& metrics() const override { return registry_; }
  // Reads the file again; `done` gets "" or what is wrong with it.
  void reload(ReloadTurns::Done done);
  void read_again();

  void use(std::shared_ptr<const Loaded> loaded);
  http::ServerOptions server_options(const ListenSettings& listen, const Loaded& loaded) const;
  bool open_listeners(std::string* why);
  bool open_admin(std::string* why);
  bool open_cache(std::string* why);
  bool open_control(std::string* why);
  bool keep_local_invalidations(std::string* why);
  void declare_metrics();
  void start_workers();
  void begin_to_serve();
  void stop(const std::string& reason);
  void look_whether_drained();
  void look_up_names();
  void signal(int number);
  bool in_lag() const;
  purge::NodeReport report() const;

  const EdgeFlags flags_;
  const EdgeSettings settings_;  // as started: what a reload doesn't change
  Clock& clock_;
  Random& random_;
  metrics::Registry registry_;
  ProxyMetrics proxy_metrics_;
  net::Loop loop_;
  MonoTime started_;

  SiteIds site_ids_;
  std::shared_ptr<const Loaded> loaded_;
  uint64_t generation_ = 1;
  WallTime loaded_at_;
  std::string reload_error_;
  ReloadTurns reloads_{[this] { read_again(); }};

  std::unique_ptr<PurgeJournal> journal_;
  std::unique_ptr<Executor> journal_executor_;  // without a purge service
  std::unique_ptr<DiskTier> disk_;
  std::unique_ptr<PurgedSince> purged_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<LimitTable> limits_;
  Coalescer coalescer_;
  std::unique_ptr<NodeParts> parts_;
  std::unique_ptr<AccessLog> access_log_;

  std::vector<net::ListenSocket> sockets_;  // of each listener, the first worker's
  std::vector<std::vector<int>> worker_fds_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::unique_ptr<http::AdminListener> admin_;
  std::unique_ptr<PurgeFeed> feed_;
  std::unique_ptr<net::Signals> signals_;
  std::unique_ptr<net::Timer> serve_timer_;  // caught up or not
  std::unique_ptr<net::Timer> look_up_timer_;
  std::unique_ptr<net::Timer> drain_timer_;
  MonoTime drain_until_;
  bool serving_ = false;
  bool stopping_ = false;
  int exit_code_ = 0;
  // Files and names. The last member, as it finishes its tasks when it goes, and they use others.
  Executor executor_;
};

}  // namespace bw::edge
