// Worker: one loop's share of the proxy: its connections upstream, its fills, its snapshot.
//
// Threads: its loop's. Lifetime: outlives the servers whose requests it handles; close() before it
// goes. NodeParts outlive all workers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/http/client.h"
#include "core/http/server_stream.h"
#include "core/net/loop.h"
#include "core/net/tls.h"
#include "edge/cache/cache_status.h"
#include "edge/cache/store.h"
#include "edge/guard/limits.h"
#include "edge/proxy/access_record.h"
#include "edge/proxy/proxy_metrics.h"
#include "edge/proxy/snapshot.h"

namespace bw::edge {

class Coalescer;
class Fill;

// What all workers of a node share.
struct NodeParts {
  std::string name;
  std::string via = "1.1 " + name;              // our member of Via
  std::string cache = cache_status_node(name);  // and what Cache-Status calls us
  std::string tier_token;                       // empty: no tier is believed by token
  bool tier_by_certificate = false;
  Duration tier_wait = std::chrono::milliseconds(50);  // for a purge that a tier asks for
  Store& store;
  Coalescer& coalescer;
  LimitTable& limits;
  ProxyMetrics& metrics;
  // Keeps what an unsafe method invalidated; may be empty. Any thread.
  std::function<void(const PurgeChanges&)> keep_local;
};

class Worker {
 public:
  Worker(net::Loop& loop, NodeParts& node, Random& random, AccessSink* access,
         std::shared_ptr<const Snapshot> snapshot);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  net::Loop& loop() { return loop_; }
  NodeParts& node() { return node_; }
  Store& store() { return node_.store; }
  Random& random() { return random_; }
  AccessSink* access() { return access_; }
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }
  void set_snapshot(std::shared_ptr<const Snapshot> snapshot);

  // This loop's connections to a group's members. Who fetches holds it: a reload may let go of the
  // group while a fetch still waits for a slot.
  std::shared_ptr<http::ClientPool> pool_of(const std::shared_ptr<Group>& group);

  // An empty key with memory of one before, so that a hit allocates none.
  CacheKey take_key();
  void give_key(CacheKey key);

  // What is counted for a site and a limit, without a lock on the way of a request.
  const SiteMetrics& metrics_of(const Site& site);
  const LimitMetrics& metrics_of(const std::shared_ptr<const LimitRule>& rule);

  // Keeps a fill that fetches on this loop until it is released.
  void keep(std::shared_ptr<Fill> fill);
  void release(const Fill& fill);
  // Aborts what is under way. Nothing is fetched after it.
  void close();

 private:
  struct Pool {
    std::shared_ptr<Group> group;
    std::shared_ptr<http::ClientPool> pool;
  };

  net::Loop& loop_;
  NodeParts& node_;
  Random& random_;
  AccessSink* access_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<CacheKey> spare_keys_;
  std::unordered_map<const Group*, Pool> pools_;
  std::unordered_map<const Fill*, std::shared_ptr<Fill>> fills_;
  std::unordered_map<uint32_t, const SiteMetrics*> site_metrics_;  // by Site::id
  // Of the limits of now; holding the rule keeps its address its own.
  std::unordered_map<std::shared_ptr<const LimitRule>, LimitMetrics> limit_metrics_;
};

// The way in from one listener.
class Entrance final : public http::Service {
 public:
  struct Facts {
    bool tier_only = false;                // others are answered 403
    std::shared_ptr<net::TlsContext> tls;  // for 421; null: plain
  };
  Entrance(Worker& worker, Facts facts) : worker_(worker), facts_(std::move(facts)) {}
  std::unique_ptr<http::StreamHandler> on_request(http::ServerStream& stream) override;
  void set_facts(Facts facts) { facts_ = std::move(facts); }

 private:
  Worker& worker_;
  Facts facts_;
};

}  // namespace bw::edge
