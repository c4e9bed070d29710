#include "edge/cache/body_memory.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace bw::edge;
using namespace bw;

namespace {

constexpr size_t kSize = 1 << 20;
constexpr size_t kBlock = 64 << 10;

Ref<Object> object_of(size_t size) {
  ObjectMeta meta;
  meta.body_size = size;
  meta.generation = 1;
  return Ref<Object>(
      new Object(std::move(meta), std::vector<Slice>{Slice::copy_of(std::string(size, 'x'))}));
}

Hash128 key_of(uint64_t i) { return xxh3_128({reinterpret_cast<const char*>(&i), sizeof i}); }

}  // namespace

TEST_CASE("body memory: a block counts until its last slice goes, wherever that is") {
  MemoryTier tier(kSize, Objective::requests);
  const auto memory = std::make_shared<BodyMemory>(tier);
  Ref<BodyBlock> block = memory->try_block(kBlock);
  REQUIRE(block);
  CHECK(block->capacity() == kBlock);
  CHECK(tier.reserved() == kBlock);
  CHECK(tier.used() == kBlock);
  Slice part = Slice(block, block->data(), kBlock).part(10, 1);
  block = {};
  CHECK(tier.reserved() == kBlock);
  CHECK(memory->held() == kBlock);
  part = {};
  CHECK(tier.reserved() == 0);
  CHECK(memory->held() == 0);
}

TEST_CASE("body memory: the budget is a half of the tier, and a body's least is beyond it") {
  struct Row {
    const char* about;
    size_t reserved;  // by others
    size_t held;      // by this body
    size_t size;
    bool granted;
  };
  const std::vector<Row> rows = {
      {"room for all", 0, 0, kSize / 2, true},
      {"not beyond a half", 0, 0, kSize / 2 + 1, false},
      {"room for the last block", kSize / 2 - 4 * kBlock, 3 * kBlock, kBlock, true},
      {"a block too much", kSize / 2 - 3 * kBlock, 3 * kBlock, kBlock, false},
      {"the least though all is used", kSize / 2, 0, kBlock, true},
      {"and once more", kSize / 2, kBlock, kBlock, true},
      {"but not for ever", kSize / 2, 2 * kBlock, kBlock, false},
      {"nor at once", kSize / 2, 0, 3 * kBlock, false},
  };
  for (const Row& row : rows) {
    INFO(row.about);
    MemoryTier tier(kSize, Objective::requests);
    tier.reserve_anyway(row.reserved);
    const auto memory = std::make_shared<BodyMemory>(tier);
    std::vector<Ref<BodyBlock>> blocks;
    for (size_t held = 0; held < row.held; held += kBlock) blocks.push_back(memory->block(kBlock));
    CHECK(static_cast<bool>(memory->try_block(row.size)) == row.granted);
    CHECK(tier.reserved() == row.reserved + row.held);
  }
}

TEST_CASE("body memory: objects give way, but for those that are being read") {
  MemoryTier tier(kSize, Objective::requests);
  Ref<Object> read;
  for (uint64_t i = 0; i < 15; ++i) {
    const Ref<Object> object = object_of(64'000);
    if (i % 2 == 0) REQUIRE(tier.put(key_of(i), object));
    if (i == 4) read = object;
  }
  const auto memory = std::make_shared<BodyMemory>(tier);
  std::vector<Ref<BodyBlock>> blocks;
  for (size_t i = 0; i < 8; ++i) {
    blocks.push_back(memory->try_block(kBlock));
    CHECK(blocks.back());
    CHECK(tier.used() <= kSize);
  }
  blocks.clear();
  CHECK(tier.find(key_of(4)));
  CHECK(tier.reserved() == 0);
}

TEST_CASE("body memory: what became an object counts once, and again when it didn't") {
  MemoryTier tier(kSize, Objective::requests);
  const auto memory = std::make_shared<BodyMemory>(tier);
  Ref<BodyBlock> kept = memory->block(kBlock);
  Ref<BodyBlock> gone = memory->block(kBlock);
  memory->settle();
  CHECK(tier.reserved() == 0);
  CHECK(memory->held() == 2 * kBlock);
  gone = {};
  memory->unsettle();
  CHECK(tier.reserved() == kBlock);
  memory->settle();
  kept = {};
  CHECK(tier.reserved() == 0);
  CHECK(memory->held() == 0);
}

TEST_CASE("body memory: each byte counts once though blocks die on other threads meanwhile") {
  MemoryTier tier(kSize, Objective::requests);
  for (int round = 0; round < 50; ++round) {
    const auto memory = std::make_shared<BodyMemory>(tier);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      std::vector<Ref<BodyBlock>> blocks;
      for (int i = 0; i < 20; ++i) blocks.push_back(memory->block(100));
      threads.emplace_back([mine = std::move(blocks)]() mutable { mine.clear(); });
    }
    for (int i = 0; i < 20; ++i) {
      memory->settle();
      memory->unsettle();
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(memory->held() == 0);
    CHECK(tier.reserved() == 0);
  }
}

TEST_CASE("body memory: a block may outlive the tier") {
  Ref<BodyBlock> block;
  {
    MemoryTier tier(kSize, Objective::requests);
    block = std::make_shared<BodyMemory>(tier)->block(kBlock);
  }
  block->data()[0] = 'x';
  block = {};
}
