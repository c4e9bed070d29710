#include "edge/proxy/coalescer.h"

#include "edge/proxy/fill.h"

namespace bw::edge {

void Coalescer::remove(const Hash128& key, const Fill& fill) {
  std::shared_ptr<Fill> gone;  // dies outside the lock
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.fills.find(key);
  if (found == shard.fills.end() || found->second.get() != &fill) return;
  gone = std::move(found->second);
  shard.fills.erase(found);
}

}  // namespace bw::edge
