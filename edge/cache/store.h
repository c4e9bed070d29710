// The store: memory above, disk below, purged-since asked at each find.
//
// Way of a hit: Exchange -> Store::find -> Delivery. Threads: any; callbacks of find_on_disk come
// on any thread, also inside the call: post to your loop. Lifetime: Inserts end before the Store.
// Bounds: memory.size for everything in memory, fills under way included; an object over a quarter
// of it goes to disk only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/base/task.h"
#include "core/http/message.h"
#include "edge/cache/body_memory.h"
#include "edge/cache/cache_policy.h"
#include "edge/cache/disk_tier.h"
#include "edge/cache/freshness.h"
#include "edge/cache/key.h"
#include "edge/cache/memory_tier.h"
#include "edge/cache/object.h"
#include "edge/cache/purged_since.h"
#include "edge/cache/reason.h"

namespace bw::edge {

// `request` as it is forwarded: strip_cookies done. All are referred to, find_on_disk copies.
struct Lookup {
  const SitePolicy& policy;
  const CacheKey& key;
  const http::RequestHead& request;
  MonoTime now;
  WallTime wall;
};

struct Found {
  enum class Verdict : uint8_t {
    fresh,       // answer
    swr,         // answer, and refresh
    revalidate,  // object is a lawful validator (and stale-if-error if `stale_if_error`)
    miss,        // no object, or one that must not be used
    lag_fail,    // on_lag = fail: 503
  };
  Verdict verdict = Verdict::miss;
  Reason reason = Reason::absent;
  Ref<Object> object;  // null on a miss
  // The key that was looked up: what fetches of this request coalesce on.
  Hash128 variant;
  bool stale_if_error = false;
  bool in_lag = false;
  int64_t ttl = 0;
  Seen seen;
  // For Breakwater-Purge-Seq: max(obj.pos, A).
  Position proof = 0;
};

// What a fill knows when its head was judged storable.
struct NewObject {
  std::shared_ptr<const SitePolicy> policy;
  CacheKey key;
  const http::RequestHead* request = nullptr;  // for Vary; used during the call only
  int status = 0;
  http::FieldList fields;  // as received; hop-by-hop is removed here
  std::optional<uint64_t> content_length;
  Freshness freshness;
  bool strip_set_cookie = false;
  FillStart start;
  Position pos = 0;          // fill_pos()
  MonoTime first_byte_sent;  // of the request
  uint64_t generation = 0;   // Store::begin_fetch(), taken before the first byte was sent
  // What the pieces of the body count in; null: in nothing.
  std::shared_ptr<BodyMemory> memory;
};

class Store;

// One response on its way in. Dropped uncommitted: nothing is stored. Threads: one at a time.
class Insert {
 public:
  static constexpr size_t kFlat = 1 << 20;  // bodies up to this lie in one piece in memory
  struct State;
  explicit Insert(std::unique_ptr<State> state);
  ~Insert();
  Insert(const Insert&) = delete;
  Insert& operator=(const Insert&) = delete;

  // false: it can no longer be stored (reason()); the fill goes on without it.
  bool append(const Slice& piece);
  // Memory has no room for it; false: then it can't be stored.
  bool let_go_of_memory();
  // Memory is to hold it, as far as is known.
  bool in_memory() const;
  // The body was proven whole. Looks at purges again; a newer one, or a younger object under the
  // key, refuses: reason(). The object is nullptr then, or when it is on disk only.
  // `body`: all that was appended, in pieces that pin nothing else, when it's in_memory().
  bool commit(std::vector<Slice> body = {});
  Ref<Object> object() const;
  Reason reason() const;

 private:
  std::unique_ptr<State> state_;
};

class Store {
 public:
  struct Options {
    size_t memory_size = 64u << 20;
    Objective objective = Objective::requests;
    uint64_t boot = 0;    // of the journal; upper bits of generations
    uint64_t secret = 0;  // random: keeps floods from aiming at buckets
  };
  // `disk` may be null; it and `purged` outlive the store.
  Store(Options options, PurgedSince& purged, DiskTier* disk);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The order of fetches; taken before a fetch's first byte is sent.
  uint64_t begin_fetch();

  // Memory only, synchronous.
  Found find(const Lookup& lookup);
  bool has_disk() const { return disk_ != nullptr; }
  // After a miss in memory (reason absent or vary). Promotes what fits. Without disk: at once.
  void find_on_disk(const Lookup& lookup, std::shared_ptr<const SitePolicy> policy,
                    UniqueFunction<void(Found)> done);

  // nullptr: refused, `why` says the reason.
  std::unique_ptr<Insert> begin_insert(NewObject object, Reason* why);

  // A 304 (or HEAD, with is_head: pos stays) for `stored`: a new object of the same body with
  // updated fields, numbers and the union of tags; looked at again for hard purges. It replaces
  // exactly that generation. nullptr: stored can't be used any more (`why`).
  Ref<Object> freshen(const Ref<Object>& stored, NewObject update, bool is_head, Reason* why);

  // A body that failed its checksum, or a response that an origin took back.
  void erase(const Object& object);

  // Hit-for-miss: true while a mark says that this key's responses weren't shareable. One caller
  // after each expiry gets false and learns anew.
  bool hit_for_miss(const CacheKey& key, MonoTime now);
  // Never because of a purge. 2 s, doubling to 120 s.
  void mark_hit_for_miss(const CacheKey& key, MonoTime now);

  MemoryTier& memory() { return memory_; }
  PurgedSince& purged() { return purged_; }
  DiskTier* disk() { return disk_; }

 private:
  friend class Insert;
  static constexpr size_t kVariantStripes = 64;
  struct DiskFind;
  Found judge_object(const Lookup& lookup, const Seen& seen, Ref<Object> object) const;
  // The object under its key or its variant's, and then also the mark that names its variants.
  MemoryTier::Put put_object(const Ref<Object>& object, uint32_t max_variants,
                             uint64_t only_replacing);
  bool put_mark(const ObjectMeta& meta, uint32_t max_variants);
  void keep_on_disk(const Object& object);
  void on_disk_answer(std::shared_ptr<DiskFind> find, Result<DiskObject> answer);
  void promote(std::shared_ptr<DiskFind> find, ObjectMeta meta, DiskObject stored);
  void finish(DiskFind& find, Ref<Object> object);
  void forget_mark(const CacheKey& key);

  struct Mark {
    MonoTime until;
    Duration length{};
    bool learning = false;  // it ended, and one caller asks anew
    Seen seen;
  };
  struct MarkShard {
    std::mutex mutex;
    std::unordered_map<Hash128, Mark, Hash128Hasher> marks;
  };
  MarkShard& mark_shard(const Hash128& key) const;

  PurgedSince& purged_;
  DiskTier* disk_;
  MemoryTier memory_;
  std::atomic<uint64_t> generation_;
  std::unique_ptr<MarkShard[]> marks_;
  std::unique_ptr<std::mutex[]> variants_;  // striped by key: of a mark's reading and replacing
};

}  // namespace bw::edge
