// LogFollower: a node's tie to the purge service: it registers, beats, and follows the log.
//
// It verifies density and chain of what comes, so that loss, doubling and a second writer end in
// "ask again after what I have", never in a gap. Beats: `PUT /v1/nodes/{name}` each heartbeat and
// at once after set_applied(), one in flight. Each carries a fresh `nonce`; the service returns it
// in a digest of this node's stream (`GET /v1/log?after=&chain=&node=&follow=1`). A nonce counts
// only when set_applied() has reached that digest on its chain; lag() counts from its sending. The
// first digest of a stream echoes the asking for it.
// Threads: its loop's. Lifetime: destroy it on the loop outside its callbacks (or retire it);
// `events` must outlive it. Bounds: one line kMaxRecordLine; a batch 1,000 records; 64 nonces.
// Errors: all lead to a new connection after 50 ms doubling to 2 s, jittered.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/net/loop.h"
#include "purge/client/record.h"
#include "purge/client/service_link.h"

namespace bw::purge {

// What a node says of itself in each beat.
struct NodeReport {
  std::string name;
  std::string instance;  // random for each process: a second live one of a name is refused
  std::string pop;
  std::string role = "edge";  // edge | shield
  std::vector<std::string> addresses;
  double load = 0;
  std::string state = "ready";
  int64_t lag_limit_ms = 5000;
  std::map<std::string, std::string> sites;  // name -> on_lag
  std::string version;
};

class FollowerEvents {
 public:
  virtual ~FollowerEvents() = default;
  // Verified records, next after what came before. Apply them, then call set_applied() with the
  // last one's position and chain (now or later, in order; a later call covers earlier ones).
  virtual void on_records(std::span<const Record> records) = 0;
  // This node has no place on a complete history: every object older than `point` must count as
  // purged (both entries of all sites). Then set_applied(point), as after records.
  virtual void on_reset(const LogPoint& point) = 0;
  // The service's end, as of the last digest.
  virtual void on_digest(const LogPoint& end) { (void)end; }
  // An echo counted: lag() fell.
  virtual void on_echo() {}
  virtual void on_connected(bool connected) { (void)connected; }
  // Another live process has this node's name: leave.
  virtual void on_name_taken() = 0;
};

class LogFollower {
 public:
  struct Options {
    std::shared_ptr<ServiceLink> link;
    NodeReport report;
    // Where the node's table stands; nullopt: it has none and begins with on_reset() at the end.
    std::optional<LogPoint> applied;
    Duration heartbeat = std::chrono::seconds(1);
    // A stream without a digest for so long is dead.
    Duration silence = std::chrono::seconds(4);
  };
  LogFollower(net::Loop& loop, Random& random, Executor* executor, Options options,
              FollowerEvents& events);
  ~LogFollower();
  LogFollower(const LogFollower&) = delete;
  LogFollower& operator=(const LogFollower&) = delete;

  void start();
  void set_applied(const LogPoint& point);
  // Changes what beats say, and beats at once.
  void set_report(NodeReport report);
  const NodeReport& report() const;

  std::optional<LogPoint> applied() const;
  // The end the service last told; nullopt until then.
  std::optional<LogPoint> end() const;
  bool connected() const;
  // Whether applied has reached an end told on this connection: the catch-up gate.
  bool caught_up() const;
  // Since the sending of the last nonce that counts; nullopt: none yet.
  std::optional<Duration> lag() const;
  // Beats once more with state "left" so that nobody waits for this node; done() when told or
  // after a second. Nothing follows.
  void leave(Task done);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace bw::purge
