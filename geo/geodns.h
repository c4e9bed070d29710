// Geodns: the running program: workers that answer, and a main loop that watches health, the
// registry, the database and signals, and posts each new snapshot to the workers.
//
// Threads: made and run on main. Lifetime: start(), then run(), then it's over.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/metrics.h"
#include "core/base/reload_turns.h"
#include "core/http/admin_listener.h"
#include "core/net/loop.h"
#include "core/net/signals.h"
#include "geo/health.h"
#include "geo/loading.h"
#include "geo/metrics.h"
#include "geo/prober.h"
#include "geo/rate_table.h"
#include "geo/registry_watch.h"
#include "geo/state_file.h"
#include "geo/worker.h"

namespace bw::geo {

class Geodns final : public http::AdminSource {
 public:
  Geodns(const GeodnsOptions& options, std::shared_ptr<const Loaded> loaded,
         const dns::CookieSecret& secret, Clock& clock, Random& random);
  ~Geodns() override;

  // Binds and starts everything, tells ready lines. False: `why` holds one line.
  bool start(std::string* why);
  // Until SIGTERM or SIGINT.
  void run();

 private:
  http::Readiness readiness() const override;
  std::string status_body() const override;
  const metrics::Registry& metrics() const override { return registry_; }
  void read_again();
  bool listen(std::string* why);
  bool watch(std::string* why);
  void signalled(int signal);
  void publish();
  void health_changed();
  void look_at_database();
  void take(std::shared_ptr<const Loaded> loaded, bool new_settings);

  const GeodnsOptions options_;
  std::shared_ptr<const Loaded> loaded_;
  const dns::CookieSecret secret_;
  Clock& clock_;
  net::Loop loop_;
  Executor executor_;
  metrics::Registry registry_;
  DnsMetrics metrics_;
  RateTable rates_;
  std::unique_ptr<HealthBoard> board_;
  std::unique_ptr<http::AdminListener> admin_;
  std::unique_ptr<StateFile> state_;
  std::unique_ptr<Prober> prober_;
  std::unique_ptr<RegistryWatch> watch_;
  std::unique_ptr<net::Signals> signals_;
  std::unique_ptr<net::Timer> database_timer_;
  std::vector<std::unique_ptr<Worker>> workers_;
  FileMark mark_;
  ReloadTurns reloads_{[this] { read_again(); }};  // and looks at the database
  std::string config_error_;
  std::string database_error_;
  uint64_t generation_ = 1;
  WallTime loaded_at_;
  MonoTime started_;
};

}  // namespace bw::geo
