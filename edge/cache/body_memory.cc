#include "edge/cache/body_memory.h"

#include <utility>

namespace bw::edge {

// Not make_unique, which would clear what is about to be filled.
BodyBlock::BodyBlock(std::shared_ptr<BodyMemory> memory, size_t capacity)
    : memory_(std::move(memory)), capacity_(capacity), data_(new char[capacity]) {}

BodyBlock::~BodyBlock() { memory_->let_go(capacity_); }

Ref<BodyBlock> BodyMemory::try_block(size_t size) {
  if (held() + size <= kLeast) return block(size);
  if (!tier_.reserve(size)) return {};
  return make(size);
}

Ref<BodyBlock> BodyMemory::block(size_t size) {
  tier_.reserve_anyway(size);
  return make(size);
}

Ref<BodyBlock> BodyMemory::make(size_t size) {
  held_.fetch_add(size, std::memory_order_relaxed);
  return Ref<BodyBlock>(new BodyBlock(shared_from_this(), size));
}

void BodyMemory::let_go(size_t size) {
  const size_t before = held_.fetch_sub(size, std::memory_order_relaxed);
  if ((before & kSettled) == 0) reserved_->fetch_sub(size, std::memory_order_relaxed);
}

void BodyMemory::settle() {
  const size_t before = held_.fetch_or(kSettled, std::memory_order_relaxed);
  if ((before & kSettled) == 0) reserved_->fetch_sub(before, std::memory_order_relaxed);
}

void BodyMemory::unsettle() {
  const size_t before = held_.fetch_and(~kSettled, std::memory_order_relaxed);
  if ((before & kSettled) != 0) {
    reserved_->fetch_add(before & ~kSettled, std::memory_order_relaxed);
  }
}

}  // namespace bw::edge
