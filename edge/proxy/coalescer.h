// Coalescer: which fetch is under way for a key, so that everyone else follows it.
//
// Threads: any; sharded locks. Lifetime: a fill stays until it is removed: at its end, or when it
// can't be joined any more. See: docs/adr/0003.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/base/digest.h"
#include "core/base/task.h"

namespace bw::edge {

class Fill;

class Coalescer {
 public:
  // Follows the fill of that key when `may_join` says so; else what `lead` makes takes its place.
  // Both run under the key's lock: a fill is stored before it is removed, so a `lead` that looks
  // into the store again can't miss both. `lead` may answer nullptr: nothing is fetched then.
  struct Decision {
    std::shared_ptr<Fill> fill;
    bool leads = false;
  };
  template <typename MayJoin, typename Lead>
  Decision join_or_lead(const Hash128& key, MayJoin may_join, Lead lead) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.fills.find(key);
    if (found != shard.fills.end() && may_join(*found->second)) return {found->second, false};
    std::shared_ptr<Fill> fill = lead();
    if (fill == nullptr) return {};
    shard.fills.insert_or_assign(key, fill);
    return {std::move(fill), true};
  }
  // Only if that fill still has the key.
  void remove(const Hash128& key, const Fill& fill);

 private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<Hash128, std::shared_ptr<Fill>, Hash128Hasher> fills;
  };
  Shard& shard_of(const Hash128& key) { return shards_[key.hi % shards_.size()]; }

  std::array<Shard, 64> shards_;
};

}  // namespace bw::edge
