// Registry: who the nodes are, how far each has applied the log, and when it last echoed.
//
// Membership outlives the process (a file beside the log): a wait for "all" after a restart waits
// for nodes that haven't come back too. Threads: its loop's; the file is written by the caller, on
// an executor. Bounds: kMaxNodes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/text/json.h"
#include "purge/client/record.h"
#include "purge/log_view.h"
#include "purge/receipt.h"
#include "purge/receipt_times.h"

namespace bw::purge {

struct Beat {
  std::string instance, pop, role, version;
  std::vector<std::string> addresses;
  std::optional<LogPoint> applied;
  double load = 0;
  std::string state;
  int64_t lag_limit_ms = 5000;
  std::map<std::string, std::string> sites;
  uint64_t nonce = 0;
};
// `why` receives what is wrong.
std::optional<Beat> parse_beat(std::string_view body, std::string* why);

struct RegistryOptions {
  Duration heartbeat = std::chrono::seconds(1);
  Duration quarantine_after = std::chrono::seconds(30);
  Duration forget_after = std::chrono::hours(24);
};

class Registry {
 public:
  static constexpr size_t kMaxNodes = 10'000;

  struct Node {
    Beat beat;
    MonoTime last_beat;
    MonoTime last_echo;   // when the last nonce that was returned to it had come
    bool beaten = false;  // by this process's life
    uint32_t number = 0;  // no other node's in this process's life
  };

  explicit Registry(RegistryOptions options) : options_(options) {}

  // changed: what outlives the process differs from before.
  enum class Outcome : uint8_t { fine, joined, changed, left, full };
  Outcome beat(const std::string& name, Beat beat, MonoTime now);
  // Whether another instance of this name has beaten so lately that it may be alive.
  bool contested(const std::string& name, const std::string& instance, MonoTime now) const;
  // A digest with its last nonce was sent: an echo that can't be older than that beat.
  void echoed(const std::string& name);
  // Its log was asked for: the first digest of the answer is an echo of that.
  void asked(const std::string& name, MonoTime now);
  // Those without a beat for forget_after go; true when some did.
  bool forget(MonoTime now);

  const Node* find(const std::string& name) const;
  // Whether this process (empty: any) of this name is a member, so that waits count it.
  bool knows(const std::string& name, const std::string& instance) const;
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  // Where each node stands for a purge of `site` that ended at `last`.
  std::vector<NodeStanding> standings(const std::string& site, const LogView& log,
                                      const ReceiptTimes::ByNode& applied_at) const;
  // GET /v1/nodes.
  text::Json json(MonoTime now, const LogView& log) const;

  // Membership as a file's text, and back at start.
  std::string encode() const;
  Status decode(std::string_view text, MonoTime now);

 private:
  std::string state_of(const Node& node, MonoTime now, const LogView& log) const;

  const RegistryOptions options_;
  std::map<std::string, Node> nodes_;
  uint32_t last_number_ = 0;
};

}  // namespace bw::purge
