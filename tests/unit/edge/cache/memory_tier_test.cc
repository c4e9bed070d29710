#include "edge/cache/memory_tier.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

using namespace bw::edge;
using namespace bw;

namespace {

constexpr size_t kSize = 1 << 20;

Ref<Object> object_of(size_t size, uint64_t generation) {
  ObjectMeta meta;
  meta.body_size = size;
  meta.generation = generation;
  std::vector<Slice> body;
  if (size > 0) body.push_back(Slice::copy_of(std::string(size, 'x')));
  return Ref<Object>(new Object(std::move(meta), std::move(body)));
}

Hash128 key_of(uint64_t i) { return xxh3_128({reinterpret_cast<const char*>(&i), sizeof i}); }

}  // namespace

TEST_CASE("memory: a younger generation is never replaced, exactly one is when asked") {
  MemoryTier tier(kSize, Objective::requests);
  const Hash128 key = key_of(1);
  using Put = MemoryTier::Put;
  CHECK(tier.try_put(key, object_of(10, 5), 4) == Put::gone);
  CHECK(tier.try_put(key, object_of(10, 5)) == Put::stored);
  CHECK(tier.try_put(key, object_of(10, 4)) == Put::younger);
  CHECK(tier.try_put(key, object_of(10, 7), 6) == Put::gone);
  CHECK(tier.try_put(key, object_of(10, 7), 5) == Put::stored);
  CHECK(tier.find(key)->meta().generation == 7);
  CHECK(tier.objects() == 1);
  tier.erase(key, 6);
  CHECK(tier.find(key));
  tier.erase(key, 7);
  CHECK_FALSE(tier.find(key));
  CHECK(tier.used() == 0);
}

TEST_CASE("memory: what doesn't fit leaves no older object behind, and its pin outlives it") {
  MemoryTier tier(kSize, Objective::requests);
  const Hash128 key = key_of(1);
  REQUIRE(tier.put(key, object_of(100, 1)));
  const Ref<Object> pinned = tier.find(key);
  CHECK(tier.try_put(key, object_of(2 * kSize, 2)) == MemoryTier::Put::no_room);
  CHECK_FALSE(tier.find(key));
  CHECK(pinned->slices(0, 100)[0].view() == std::string(100, 'x'));
}

TEST_CASE("memory: the bound holds whatever comes, and all is given back") {
  for (const Objective objective : {Objective::requests, Objective::bytes}) {
    MemoryTier tier(kSize, objective, 99);
    SeededRandom random(7);
    for (uint64_t i = 0; i < 20'000; ++i) {
      const Hash128 key = key_of(random.below(3000));
      switch (random.below(8)) {
        case 0:
          tier.erase(key, ~uint64_t{0});
          break;
        case 1:
          if (tier.reserve(5000)) {
            CHECK(tier.used() <= kSize);
            tier.release(5000);
          }
          break;
        default:
          if (!tier.find(key)) (void)tier.put(key, object_of(random.below(20'000), i + 1));
      }
      if (tier.used() > kSize) FAIL("over the bound");
    }
    CHECK(tier.evicted() > 0);
    for (uint64_t i = 0; i < 3000; ++i) tier.erase(key_of(i), ~uint64_t{0});
    CHECK(tier.objects() == 0);
    CHECK(tier.used() < 400'000);  // ghosts only
    CHECK(tier.reserved() == 0);
  }
}

TEST_CASE("memory: fills under way take at most a half") {
  MemoryTier tier(kSize, Objective::requests);
  CHECK(tier.reserve(kSize / 2));
  CHECK_FALSE(tier.reserve(1));
  tier.release(kSize / 2);
  CHECK(tier.used() == 0);
  CHECK_FALSE(tier.reserve(kSize / 2 + 1));
}

TEST_CASE("memory: what is asked for again survives a scan of what isn't") {
  MemoryTier tier(kSize, Objective::requests);
  for (uint64_t i = 0; i < 20; ++i) REQUIRE(tier.put(key_of(i), object_of(4000, 1)));
  for (int round = 0; round < 10; ++round) {
    for (uint64_t i = 0; i < 20; ++i) CHECK(tier.find(key_of(i)));
  }
  for (uint64_t i = 1000; i < 3000; ++i) {
    (void)tier.put(key_of(i), object_of(4000, 1));
    if (i % 100 == 0) {
      for (uint64_t hot = 0; hot < 20; ++hot) (void)tier.find(key_of(hot));
    }
  }
  int left = 0;
  for (uint64_t i = 0; i < 20; ++i) left += tier.find(key_of(i)) ? 1 : 0;
  CHECK(left == 20);
}

TEST_CASE("memory: the objective chooses between many small and few large objects") {
  const auto kept = [](Objective objective) {
    MemoryTier tier(kSize, objective);
    // A large object asked for three times, then small ones asked for twice.
    REQUIRE(tier.put(key_of(0), object_of(kSize / 2, 1)));
    for (int i = 0; i < 2; ++i) CHECK(tier.find(key_of(0)));
    for (uint64_t i = 1; i < 600; ++i) {
      (void)tier.put(key_of(i), object_of(1000, 1));
      (void)tier.find(key_of(i));
    }
    return static_cast<bool>(tier.find(key_of(0)));
  };
  CHECK_FALSE(kept(Objective::requests));
  CHECK(kept(Objective::bytes));
}

TEST_CASE("memory: loops share it without a race") {
  MemoryTier tier(kSize, Objective::requests);
  std::atomic<uint64_t> generation{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      SeededRandom random(t);
      for (int i = 0; i < 4000; ++i) {
        const Hash128 key = key_of(random.below(400));
        if (const Ref<Object> object = tier.find(key)) {
          if (object->meta().body_size != object->size()) ++wrong;
        } else {
          (void)tier.put(key, object_of(random.below(9000), ++generation));
        }
        if (random.below(10) == 0) tier.erase(key, ~uint64_t{0});
        if (random.below(20) == 0 && tier.reserve(3000)) tier.release(3000);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(tier.used() <= kSize);
}

TEST_CASE("memory: what is being read stays, and what slow readers hold doesn't empty the cache") {
  MemoryTier tier(kSize, Objective::requests);
  std::vector<Hash128> small;
  for (uint64_t i = 0; i < 100; ++i) {
    small.push_back(key_of(i));
    REQUIRE(tier.put(small.back(), object_of(100, 1)));
    for (int hits = 0; hits < 3; ++hits) REQUIRE(tier.find(small.back()));
  }
  std::vector<std::pair<Hash128, Ref<Object>>> held;
  size_t bytes = 0;
  for (uint64_t i = 1000; i < 1200; ++i) {
    const Ref<Object> object = object_of(50'000, 1);
    if (tier.put(key_of(i), object)) {
      bytes += object->charge();
      held.emplace_back(key_of(i), object);
    }
    CHECK(tier.used() <= kSize);
  }
  CHECK(bytes <= kSize);
  CHECK(tier.read_on() == 0);
  for (const auto& [key, object] : held) CHECK(tier.find(key) == object);
  size_t still_there = 0;
  for (const Hash128& key : small) still_there += tier.find(key) ? 1 : 0;
  CHECK(still_there == small.size());
  // Nobody reads them any more: they may go.
  held.clear();
  CHECK(tier.reserve(kSize / 2));
  CHECK(tier.used() <= kSize);
}

TEST_CASE("memory: what was erased counts as long as it's read") {
  MemoryTier tier(kSize, Objective::requests);
  REQUIRE(tier.put(key_of(1), object_of(50'000, 1)));
  Ref<Object> read = tier.find(key_of(1));
  tier.erase(key_of(1), 1);
  CHECK(tier.read_on() == read->charge());
  CHECK(tier.used() >= read->charge());
  read = {};
  CHECK(tier.read_on() == 0);
}

TEST_CASE("memory: readers come and go, and the tier always finds what may go") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO(seed);
    MemoryTier tier(kSize, Objective::requests);
    SeededRandom random(seed);
    std::vector<Ref<Object>> readers(60);
    for (uint64_t i = 0; i < 3000; ++i) {
      const Hash128 key = key_of(random.below(200));
      Ref<Object>& reader = readers[random.below(readers.size())];
      switch (random.below(6)) {
        case 0:
          tier.erase(key, ~uint64_t{0});
          break;
        case 1:
          reader = {};
          break;
        case 2:
          if (tier.reserve(20'000)) tier.release(20'000);
          break;
        default:
          reader = tier.find(key);
          if (!reader) (void)tier.put(key, object_of(random.below(40'000), i + 1));
      }
      if (tier.used() > kSize) FAIL("over the bound");
    }
    readers.clear();
    CHECK(tier.reserve(kSize / 2));
    CHECK(tier.used() <= kSize);
    tier.release(kSize / 2);
    for (uint64_t i = 0; i < 200; ++i) tier.erase(key_of(i), ~uint64_t{0});
    CHECK(tier.objects() == 0);
  }
}
