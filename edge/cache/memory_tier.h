// Objects in memory under one byte bound: bodies, fields, index, ghosts and slack are all counted.
//
// Sharded by key; the budget and L are shared. Policy: GreedyDual with a value gate and ghosts that
// remember frequency. v = f / bytes (objective requests: many small objects) or f (bytes: what is
// asked for often, however large); H = L + v at each request; the victim is the lowest H of its
// own shard and a few others, L the H of the last victim; who is worth less than the victim isn't
// let in. Threads: any; a hit takes its shard's lock shared. Bounds: used() <= size at all times
// but for the object just being put in and what reserve_anyway() takes; bodies on their way get at
// most a half. Whatever is being read stays: evicting it would free nothing, so that slow readers
// neither break the bound nor empty the cache. What was erased and is still being read counts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/digest.h"
#include "edge/cache/object.h"

namespace bw::edge {

enum class Objective : uint8_t { requests, bytes };

class MemoryTier {
 public:
  // `secret` keeps floods from aiming at buckets.
  MemoryTier(size_t size, Objective objective, uint64_t secret = 0);
  ~MemoryTier();
  MemoryTier(const MemoryTier&) = delete;
  MemoryTier& operator=(const MemoryTier&) = delete;

  Ref<Object> find(const Hash128& key);

  // younger: an object of a greater generation is there. gone: `only_replacing` isn't there (and
  // nothing younger). no_room: not admitted; an older object of the key has gone all the same.
  enum class Put : uint8_t { stored, younger, gone, no_room };
  // Test and insert are one step.
  Put try_put(const Hash128& key, const Ref<Object>& object, uint64_t only_replacing = 0);
  bool put(const Hash128& key, const Ref<Object>& object, uint64_t only_replacing = 0) {
    return try_put(key, object, only_replacing) == Put::stored;
  }
  // That generation or an older one.
  void erase(const Hash128& key, uint64_t generation);

  // Room for a body on its way, counted against the budget; false: refused.
  bool reserve(size_t bytes);
  // Counted although there may be no room. Objects make room only as far as they do for reserve().
  void reserve_anyway(size_t bytes);
  void release(size_t bytes) { reserved_->fetch_sub(bytes, std::memory_order_relaxed); }
  // For those who release by themselves, maybe when the tier has gone.
  const std::shared_ptr<std::atomic<size_t>>& reserved_count() const { return reserved_; }

  size_t size() const { return size_; }
  size_t used() const { return used_.load(std::memory_order_relaxed) + read_on() + reserved(); }
  // Of objects that have gone and are still read.
  size_t read_on() const { return read_on_->load(std::memory_order_relaxed); }
  // Of bodies on their way.
  size_t reserved() const { return reserved_->load(std::memory_order_relaxed); }
  uint64_t objects() const { return objects_.load(std::memory_order_relaxed); }
  uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }

 private:
  struct Entry;
  struct Shard;
  using Dropped = std::vector<Ref<Object>>;  // die outside of the locks
  Shard& shard(const Hash128& key) const;
  double value_of(uint32_t frequency, size_t bytes) const;
  void remove(Shard& from, Entry& entry, Dropped& dropped);
  bool evict_one(Shard& own, double worth, Dropped& dropped);
  bool make_room();

  const size_t size_;
  const Objective objective_;
  std::unique_ptr<Shard[]> shards_;
  std::atomic<size_t> used_{0};                    // by objects that are there, and ghosts
  std::shared_ptr<std::atomic<size_t>> read_on_;   // objects may outlive the tier
  std::shared_ptr<std::atomic<size_t>> reserved_;  // and so may their bodies
  std::atomic<uint64_t> objects_{0};
  std::atomic<uint64_t> evicted_{0};
  std::atomic<double> level_{0};  // L
  std::atomic<uint32_t> next_shard_{0};
};

}  // namespace bw::edge
