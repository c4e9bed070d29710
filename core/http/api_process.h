// The life of a program whose API has one loop: its listeners with their certificates, its admin
// listener, signals, the drain at the end.
//
// Threads: main's. Lifetime: bind(), serve(), run(), which returns when the program is over; it
// goes before what it serves. SIGTERM and SIGINT drain and stop, a second one stops at once. SIGHUP
// reads certificates and the admin token again; certificates are also watched, every 2 s. What
// can't be read leaves in force what was. See: core/net/program_settings.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/executor.h"
#include "core/base/file_mark.h"
#include "core/base/reload_turns.h"
#include "core/http/admin_listener.h"
#include "core/net/program_settings.h"
#include "core/net/signals.h"

namespace bw::http {

// Before anything else of such a program: the signals that it takes.
void block_process_signals();

class ApiProcess {
 public:
  struct Hooks {
    std::function<void()> draining = [] {};  // what holds requests open may let go
    std::function<void()> reload = [] {};    // SIGHUP
  };

  // `settings` outlive it.
  ApiProcess(net::Loop& loop, const net::ApiProcessSettings& settings, Hooks hooks);
  ~ApiProcess();

  // Takes all addresses, then becomes the user of the settings. `source` outlives it. `why`
  // receives a line for people on failure.
  bool bind(const AdminSource& source, std::string* why);
  // Reads the certificates. `api` and `executor` outlive it.
  bool serve(Service& api, const ServerLimits& limits, Executor& executor, std::string* why);
  // Tells that the program is ready, and serves until it is asked to stop and has drained.
  void run();

  // Not ready while it drains.
  Readiness readiness() const;
  uint64_t connections() const;

 private:
  using Marks = std::vector<FileMark>;
  void signal(int number);
  void stop();
  void look_whether_drained();
  // `reload`: all that a reload takes, else certificates that have changed.
  void read_files(bool reload);
  void use_tls(std::shared_ptr<net::TlsContext> tls);
  ServerOptions options(size_t listener) const;

  net::Loop& loop_;
  const net::ApiProcessSettings& settings_;
  const Hooks hooks_;
  ServerLimits limits_;
  Executor* executor_ = nullptr;
  std::shared_ptr<net::TlsContext> tls_;
  Marks marks_;                                        // of the certificates' files in force
  ReloadTurns reloads_{[this] { read_files(true); }};  // and looks at certificates
  std::vector<std::unique_ptr<BoundServer>> servers_;  // one a [[listen]]
  std::unique_ptr<AdminListener> admin_;
  std::unique_ptr<net::Signals> signals_;
  net::Timer watch_;
  net::Timer drain_looks_;
  MonoTime drain_until_;
  bool stopping_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace bw::http
