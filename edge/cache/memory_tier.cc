#include "edge/cache/memory_tier.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace bw::edge {
namespace {

constexpr size_t kShards = 16;
constexpr size_t kOthers = 3;        // shards beside one's own that a victim is looked for in
constexpr size_t kEntryBytes = 208;  // an entry with its node, bucket and place in the heap
constexpr size_t kGhostBytes = 104;  // a ghost with its node, bucket and place in the queue
constexpr size_t kLooks = 2;         // at entries that were being read, whether they still are
constexpr size_t kMostLooks = 256;   // when nothing else could go
constexpr double kNoGate = std::numeric_limits<double>::infinity();

struct KeyHasher {
  uint64_t secret = 0;
  size_t operator()(const Hash128& key) const { return key.lo ^ (key.hi * (secret | 1)); }
};

}  // namespace

struct MemoryTier::Entry {
  Hash128 key;
  Ref<Object> object;
  size_t charge = 0;
  std::atomic<uint32_t> frequency{1};  // up to 255
  std::atomic<double> priority{0};     // H
  double heap_key = 0;                 // a lower bound of H: under the shard's lock
  size_t heap_at = 0;                  // place in the heap, or in `read` when it's there
  bool read = false;
};

struct MemoryTier::Shard {
  mutable std::shared_mutex mutex;
  std::unordered_map<Hash128, Entry, KeyHasher> index;
  std::vector<Entry*> heap;  // least heap_key first
  // Were being read when they'd have gone: out of the heap until they are found free again.
  std::vector<Entry*> read;
  size_t next_look = 0;
  std::unordered_map<Hash128, uint32_t, KeyHasher> ghosts;  // frequencies of who has gone
  std::deque<Hash128> ghost_queue;

  void place(Entry* entry, size_t at) {
    heap[at] = entry;
    entry->heap_at = at;
  }
  void sift_up(size_t at) {
    Entry* entry = heap[at];
    for (; at > 0 && heap[(at - 1) / 2]->heap_key > entry->heap_key; at = (at - 1) / 2) {
      place(heap[(at - 1) / 2], at);
    }
    place(entry, at);
  }
  void sift_down(size_t at) {
    Entry* entry = heap[at];
    for (;;) {
      size_t child = at * 2 + 1;
      if (child >= heap.size()) break;
      if (child + 1 < heap.size() && heap[child + 1]->heap_key < heap[child]->heap_key) ++child;
      if (heap[child]->heap_key >= entry->heap_key) break;
      place(heap[child], at);
      at = child;
    }
    place(entry, at);
  }
  void push(Entry* entry) {
    heap.push_back(entry);
    sift_up(heap.size() - 1);
  }
  void pull(const Entry& entry) {
    const size_t at = entry.heap_at;
    if (entry.read) {
      read.back()->heap_at = at;
      read[at] = read.back();
      read.pop_back();
      return;
    }
    Entry* last = heap.back();
    heap.pop_back();
    if (last == &entry) return;
    place(last, at);
    sift_down(at);
    sift_up(last->heap_at);
  }
  // With the shard locked nobody can begin to read it.
  static bool is_read(const Entry& entry) { return entry.object->pins() > 1; }
  // Returns entries that nobody reads any more to the heap.
  void look_at_read(size_t most) {
    for (size_t n = std::min(most, read.size()); n > 0; --n) {
      if (next_look >= read.size()) next_look = 0;
      Entry* entry = read[next_look];
      if (is_read(*entry)) {
        ++next_look;
        continue;
      }
      pull(*entry);
      entry->read = false;
      push(entry);
    }
  }
  // Of those that nobody reads. Hits raise priorities without touching the heap: the top is put
  // right before it is believed.
  Entry* lowest() {
    look_at_read(heap.empty() ? kMostLooks : kLooks);
    while (!heap.empty()) {
      Entry* top = heap[0];
      const double priority = top->priority.load(std::memory_order_relaxed);
      if (priority > top->heap_key) {
        top->heap_key = priority;
        sift_down(0);
      } else if (is_read(*top)) {
        pull(*top);
        top->read = true;
        top->heap_at = read.size();
        read.push_back(top);
      } else {
        return top;
      }
    }
    return nullptr;
  }
  // Remembers; answers the bytes that this added (or freed, below 0).
  int64_t remember(const Hash128& key, uint32_t frequency) {
    int64_t bytes = 0;
    const auto [it, made] = ghosts.try_emplace(key, frequency);
    if (made) {
      ghost_queue.push_back(key);
      bytes += static_cast<int64_t>(kGhostBytes);
    } else {
      it->second = std::max(it->second, frequency);
    }
    const size_t most = std::max<size_t>(2 * index.size(), 64);
    while (ghost_queue.size() > most) {
      ghosts.erase(ghost_queue.front());
      ghost_queue.pop_front();
      bytes -= static_cast<int64_t>(kGhostBytes);
    }
    return bytes;
  }
};

MemoryTier::MemoryTier(size_t size, Objective objective, uint64_t secret)
    : size_(size),
      objective_(objective),
      shards_(std::make_unique<Shard[]>(kShards)),
      read_on_(std::make_shared<std::atomic<size_t>>(0)),
      reserved_(std::make_shared<std::atomic<size_t>>(0)) {
  for (size_t i = 0; i < kShards; ++i) {
    shards_[i].index = decltype(Shard::index)(16, KeyHasher{secret});
    shards_[i].ghosts = decltype(Shard::ghosts)(16, KeyHasher{secret});
  }
}

MemoryTier::~MemoryTier() = default;

MemoryTier::Shard& MemoryTier::shard(const Hash128& key) const {
  return shards_[(key.hi ^ key.lo) >> 60];
}

double MemoryTier::value_of(uint32_t frequency, size_t bytes) const {
  const auto f = static_cast<double>(frequency);
  return objective_ == Objective::requests ? f / static_cast<double>(bytes) : f;
}

Ref<Object> MemoryTier::find(const Hash128& key) {
  const Shard& in = shard(key);
  const std::shared_lock lock(in.mutex);
  const auto it = in.index.find(key);
  if (it == in.index.end()) return {};
  auto& entry = const_cast<Entry&>(it->second);  // its atomics
  uint32_t frequency = entry.frequency.load(std::memory_order_relaxed);
  if (frequency < 255) entry.frequency.store(++frequency, std::memory_order_relaxed);
  const double priority =
      level_.load(std::memory_order_relaxed) + value_of(frequency, entry.charge);
  // Written only when it changes, so that a hot entry's line stays shared between cores.
  if (priority > entry.priority.load(std::memory_order_relaxed)) {
    entry.priority.store(priority, std::memory_order_relaxed);
  }
  return entry.object;
}

// Takes an entry out of everything but the ghosts. Its shard is locked.
void MemoryTier::remove(Shard& from, Entry& entry, Dropped& dropped) {
  from.pull(entry);
  // Its bytes are only free when the last who reads them has gone.
  if (entry.object->pins() > 1) entry.object->count_in(read_on_);
  dropped.push_back(std::move(entry.object));
  used_.fetch_sub(entry.charge, std::memory_order_relaxed);
  objects_.fetch_sub(1, std::memory_order_relaxed);
  from.index.erase(Hash128(entry.key));
}

// Lets the least worthy of `own` (locked) and of a few other shards go, unless all are worth more
// than `worth`. False: none could go, or all are being read.
bool MemoryTier::evict_one(Shard& own, double worth, Dropped& dropped) {
  Shard* from = &own;
  Entry* victim = own.lowest();
  std::unique_lock<std::shared_mutex> held;
  const uint32_t start = next_shard_.fetch_add(kOthers, std::memory_order_relaxed);
  // All of them when one's own is empty: the room must be somewhere.
  for (size_t i = 0; i < kShards && (i < kOthers || victim == nullptr); ++i) {
    Shard& other = shards_[(start + i) % kShards];
    if (&other == &own) continue;
    std::unique_lock<std::shared_mutex> lock(other.mutex, std::try_to_lock);
    if (!lock.owns_lock()) continue;
    Entry* candidate = other.lowest();
    if (candidate == nullptr) continue;
    if (victim == nullptr || candidate->heap_key < victim->heap_key) {
      victim = candidate;
      from = &other;
      held = std::move(lock);
    }
  }
  if (victim == nullptr || victim->heap_key > worth) return false;
  double level = level_.load(std::memory_order_relaxed);
  while (level < victim->heap_key &&
         !level_.compare_exchange_weak(level, victim->heap_key, std::memory_order_relaxed)) {
  }
  const Hash128 key = victim->key;
  const uint32_t frequency = victim->frequency.load(std::memory_order_relaxed);
  remove(*from, *victim, dropped);
  evicted_.fetch_add(1, std::memory_order_relaxed);
  used_.fetch_add(static_cast<size_t>(from->remember(key, frequency)), std::memory_order_relaxed);
  return true;
}

MemoryTier::Put MemoryTier::try_put(const Hash128& key, const Ref<Object>& object,
                                    uint64_t only_replacing) {
  Dropped dropped;
  Shard& in = shard(key);
  const std::unique_lock lock(in.mutex);
  uint32_t frequency = 1;
  const auto there = in.index.find(key);
  if (there != in.index.end()) {
    const uint64_t generation = there->second.object->meta().generation;
    if (generation > object->meta().generation) return Put::younger;
    if (only_replacing != 0 && generation != only_replacing) return Put::gone;
    frequency = there->second.frequency.load(std::memory_order_relaxed);
    remove(in, there->second, dropped);
  } else if (only_replacing != 0) {
    return Put::gone;
  }
  if (const auto ghost = in.ghosts.find(key); ghost != in.ghosts.end()) {
    ghost->second = std::min<uint32_t>(ghost->second + 1, 255);
    frequency = std::max(frequency, ghost->second);
  }

  const size_t charge = object->charge() + kEntryBytes;
  const double worth = level_.load(std::memory_order_relaxed) + value_of(frequency, charge);
  // Counted first, so that two that come at once don't both take the last room.
  used_.fetch_add(charge, std::memory_order_relaxed);
  while (used() > size_) {
    if (charge <= size_ && evict_one(in, worth, dropped)) continue;
    used_.fetch_sub(charge, std::memory_order_relaxed);
    if (used() + kGhostBytes <= size_) {
      used_.fetch_add(static_cast<size_t>(in.remember(key, frequency)), std::memory_order_relaxed);
    }
    return Put::no_room;
  }
  Entry& entry = in.index[key];
  entry.key = key;
  entry.object = object;
  entry.charge = charge;
  entry.frequency.store(frequency, std::memory_order_relaxed);
  entry.priority.store(worth, std::memory_order_relaxed);
  entry.heap_key = worth;
  in.push(&entry);
  objects_.fetch_add(1, std::memory_order_relaxed);
  return Put::stored;
}

void MemoryTier::erase(const Hash128& key, uint64_t generation) {
  Dropped dropped;
  Shard& in = shard(key);
  const std::unique_lock lock(in.mutex);
  const auto there = in.index.find(key);
  if (there != in.index.end() && there->second.object->meta().generation <= generation) {
    remove(in, there->second, dropped);
  }
}

// False: what is left is being read, or on its way.
bool MemoryTier::make_room() {
  while (used() > size_) {
    Dropped dropped;
    Shard& own = shards_[next_shard_.fetch_add(1, std::memory_order_relaxed) % kShards];
    const std::unique_lock lock(own.mutex);
    if (!evict_one(own, kNoGate, dropped)) return false;
  }
  return true;
}

bool MemoryTier::reserve(size_t bytes) {
  const size_t before = reserved_->fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= size_ / 2 && make_room()) return true;
  release(bytes);
  return false;
}

void MemoryTier::reserve_anyway(size_t bytes) {
  const size_t before = reserved_->fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes <= size_ / 2) (void)make_room();
}

}  // namespace bw::edge
