// Objects in memory under one byte bound: body, fields, index and slack are all counted.
//
// Sharded by key; the budget is shared. Policy: GreedyDual by frequency and size (objective
// requests) or frequency alone (bytes); the victim is the lowest priority of a few shards. Threads:
// any. Bounds: used() <= size at all times but for the object just being put in.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/digest.h"
#include "edge/cache/object.h"

namespace bw::edge {

enum class Objective : uint8_t { requests, bytes };

class MemoryTier {
 public:
  MemoryTier(size_t size, Objective objective);
  ~MemoryTier();
  MemoryTier(const MemoryTier&) = delete;
  MemoryTier& operator=(const MemoryTier&) = delete;

  Ref<Object> find(const Hash128& key);
  // Test and insert are one step: refuses (false) when an object of a greater generation is there,
  // or when `only_replacing` is given and another generation (or nothing) is there; also when there
  // is no room.
  bool put(const Hash128& key, const Ref<Object>& object, uint64_t only_replacing = 0);
  // That generation or an older one.
  void erase(const Hash128& key, uint64_t generation);

  // Room for a fill under way, counted against the budget; false: refused.
  bool reserve(size_t bytes);
  void release(size_t bytes);

  size_t size() const { return size_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t objects() const { return objects_.load(std::memory_order_relaxed); }
  uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }

 private:
  struct Shard;
  bool make_room(size_t first_shard);
  bool evict_one(size_t first_shard);

  const size_t size_;
  const Objective objective_;
  std::unique_ptr<Shard[]> shards_;
  std::atomic<size_t> used_{0};
  std::atomic<size_t> reserved_{0};
  std::atomic<uint64_t> objects_{0};
  std::atomic<uint64_t> evicted_{0};
  std::atomic<double> level_{0};  // L: priority of the last victim
};

}  // namespace bw::edge
