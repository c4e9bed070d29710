#include "edge/proxy/worker.h"

#include <utility>

#include "edge/proxy/exchange.h"
#include "edge/proxy/fill.h"

namespace bw::edge {
namespace {

constexpr size_t kSpareKeys = 64;
constexpr size_t kSpareKeyBytes = 1024;

// A count of references that only this worker's exchanges write: that of a snapshot which all
// workers share would move between their cores with each request.
std::shared_ptr<const Snapshot> counted_here(std::shared_ptr<const Snapshot> shared) {
  const Snapshot* snapshot = shared.get();
  return {snapshot, [held = std::move(shared)](const Snapshot*) {}};
}

}  // namespace

Worker::Worker(net::Loop& loop, NodeParts& node, Random& random, AccessSink* access,
               std::shared_ptr<const Snapshot> snapshot)
    : loop_(loop),
      node_(node),
      random_(random),
      access_(access),
      snapshot_(counted_here(std::move(snapshot))) {}

Worker::~Worker() = default;

void Worker::set_snapshot(std::shared_ptr<const Snapshot> snapshot) {
  snapshot_ = counted_here(std::move(snapshot));
  limit_metrics_.clear();
  // Pools of groups that went stay until nothing is open in them; the next reload looks again.
  for (auto pool = pools_.begin(); pool != pools_.end();) {
    bool named = snapshot_->shields.get() == pool->first;
    for (const auto& [name, group] : snapshot_->groups) named = named || group.get() == pool->first;
    if (!named) pool->second.pool->close_idle();
    const bool used =
        pool->second.pool.use_count() > 1 || pool->second.pool->open_connections() > 0;
    if (!named && !used) {
      loop_.post([held = std::move(pool->second.pool)]() mutable { held.reset(); });
      pool = pools_.erase(pool);
    } else {
      ++pool;
    }
  }
}

std::shared_ptr<http::ClientPool> Worker::pool_of(const std::shared_ptr<Group>& group) {
  Pool& pool = pools_[group.get()];
  if (pool.pool == nullptr) {
    pool.group = group;
    pool.pool = std::make_shared<http::ClientPool>(loop_, group->settings().limits);
  }
  return pool.pool;
}

CacheKey Worker::take_key() {
  if (spare_keys_.empty()) return {};
  CacheKey key = std::move(spare_keys_.back());
  spare_keys_.pop_back();
  return key;
}

void Worker::give_key(CacheKey key) {
  if (spare_keys_.size() >= kSpareKeys || key.text.capacity() > kSpareKeyBytes) return;
  key.text.clear();
  spare_keys_.push_back(std::move(key));
}

const SiteMetrics& Worker::metrics_of(const Site& site) {
  const SiteMetrics*& metrics = site_metrics_[site.id];
  if (metrics == nullptr) metrics = &node_.metrics.site(site.name);
  return *metrics;
}

const LimitMetrics& Worker::metrics_of(const std::shared_ptr<const LimitRule>& rule) {
  const auto found = limit_metrics_.find(rule);
  if (found != limit_metrics_.end()) return found->second;
  return limit_metrics_.emplace(rule, node_.metrics.limit(*rule)).first->second;
}

void Worker::keep(std::shared_ptr<Fill> fill) {
  const Fill* key = fill.get();
  fills_.emplace(key, std::move(fill));
}

void Worker::release(const Fill& fill) { fills_.erase(&fill); }

void Worker::close() {
  const std::unordered_map<const Fill*, std::shared_ptr<Fill>> fills = std::move(fills_);
  fills_.clear();
  for (const auto& [key, fill] : fills) fill->close();
}

std::unique_ptr<http::StreamHandler> Entrance::on_request(http::ServerStream& stream) {
  auto exchange = std::make_unique<Exchange>(worker_, stream, facts_);
  exchange->start();
  return exchange;
}

}  // namespace bw::edge
