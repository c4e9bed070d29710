// Lab: the running cast, and what steps ask of it.
//
// Threads: main only. Blocks. Lifetime: the destructor ends all processes, then the folder goes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "cli/lab/child.h"
#include "cli/lab/client.h"
#include "cli/lab/plan.h"
#include "cli/lab/script_origin.h"
#include "core/text/json.h"

namespace bw::cli {

class Lab {
 public:
  static std::unique_ptr<Lab> make(Clock& clock, bool keep, std::string* why);
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  // All of them, in order.
  bool start(std::string* why);
  bool start(std::string_view name, std::string* why);
  // SIGTERM; the exit code.
  int stop(std::string_view name);
  void kill(std::string_view name);
  pid_t pid(std::string_view name) const;
  // The name of a process that should run and doesn't; empty: none.
  std::string missing() const;

  const Plan& plan() const { return *plan_; }
  Client& client() { return *client_; }
  ScriptOrigin& script() { return *script_; }
  Clock& clock() { return clock_; }

  // A GET of the shop's or the script's site at an edge.
  Ask shop(std::string_view edge, std::string target, Ask::Over over = Ask::Over::http1_tls) const;
  Ask scripted(std::string_view edge, std::string target,
               Ask::Over over = Ask::Over::http1_tls) const;
  Got get(const Ask& ask) { return client_->ask(ask); }
  // A GET of an admin listener.
  Got admin(std::string_view part, std::string target);
  Got explain(std::string_view edge, std::string_view url);
  // The sum of a metric over all series whose labels hold `label`, e.g. `site="shop"`; -1: the
  // process doesn't tell.
  double metric(std::string_view part, std::string_view name, std::string_view label = "");
  // Purges as the operator; the body is the API's.
  Got purge(std::string_view site, const text::Json& request);
  // Addresses that `dig` gets for a name; `transport`: "+notcp" or "+tcp".
  std::vector<std::string> dig(std::string_view name, std::string_view subnet,
                               std::string_view transport) const;
  // Asks again and again until it is true.
  bool until(const std::function<bool()>& condition, Duration within);

 private:
  explicit Lab(Clock& clock) : clock_(clock) {}
  Ask ask(std::string_view edge, std::string_view host, std::string target, Ask::Over over) const;

  Clock& clock_;
  std::unique_ptr<ScriptOrigin> script_;
  std::unique_ptr<Plan> plan_;
  std::unique_ptr<Client> client_;
  std::map<std::string, std::unique_ptr<Child>, std::less<>> children_;
};

}  // namespace bw::cli
