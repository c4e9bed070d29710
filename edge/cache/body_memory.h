// BodyMemory: the blocks of one body on its way, counted in the memory tier's budget.
//
// A block counts from when it's made until its last slice goes, wherever that waits: in a fill for
// readers that lag, in the disk's queue, in a connection. Threads: blocks are asked for by one at a
// time and die anywhere. Lifetime: blocks may outlive the tier. Bounds: kLeast is granted whatever
// the budget says, so that every body gets on and a small one can be stored.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "core/base/slice.h"
#include "edge/cache/memory_tier.h"

namespace bw::edge {

class BodyMemory;

// As Buffer: filled once by its maker, then shared as slices.
class BodyBlock final : public Pinned {
 public:
  BodyBlock(std::shared_ptr<BodyMemory> memory, size_t capacity);

  char* data() { return data_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  ~BodyBlock() override;
  const std::shared_ptr<BodyMemory> memory_;
  const size_t capacity_;
  const std::unique_ptr<char[]> data_;
};

class BodyMemory final : public std::enable_shared_from_this<BodyMemory> {
 public:
  static constexpr size_t kLeast = 128 << 10;

  explicit BodyMemory(MemoryTier& tier) : tier_(tier), reserved_(tier.reserved_count()) {}

  // Null: the budget has no room.
  Ref<BodyBlock> try_block(size_t size);
  // Counted all the same.
  Ref<BodyBlock> block(size_t size);
  // Bytes of blocks that are alive.
  size_t held() const { return held_.load(std::memory_order_relaxed) & ~kSettled; }

  // The body is an object's now, which the tier counts by itself.
  void settle();
  void unsettle();

 private:
  friend class BodyBlock;
  static constexpr size_t kSettled = ~(~size_t{0} >> 1);
  Ref<BodyBlock> make(size_t size);
  void let_go(size_t size);

  MemoryTier& tier_;
  const std::shared_ptr<std::atomic<size_t>> reserved_;
  // And whether it's settled: one word, so that each byte counts once.
  std::atomic<size_t> held_{0};
};

}  // namespace bw::edge
