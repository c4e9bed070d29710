#include "edge/cache/store.h"

#include <algorithm>

#include "edge/cache/stored_fields.h"
#include "edge/cache/tags.h"
#include "edge/cache/vary.h"

namespace bw::edge {
namespace {

constexpr size_t kMarkShards = 16;
constexpr size_t kMarksInShard = 1024;
constexpr Duration kFirstMark = std::chrono::seconds(2);
constexpr Duration kLongestMark = std::chrono::seconds(120);

bool same_names(const Object& mark, const std::vector<std::string>& names) {
  return mark.meta().vary_mark && mark.meta().vary == names;
}

}  // namespace

Store::Store(Options options, PurgedSince& purged, DiskTier* disk)
    : purged_(purged),
      disk_(disk),
      memory_(options.memory_size, options.objective, options.secret),
      generation_(options.boot << 40),
      marks_(std::make_unique<MarkShard[]>(kMarkShards)),
      variants_(std::make_unique<std::mutex[]>(kVariantStripes)) {}

Store::~Store() = default;

uint64_t Store::begin_fetch() { return generation_.fetch_add(1, std::memory_order_relaxed) + 1; }

// --- look up

Found Store::find(const Lookup& lookup) {
  // Before the object is looked at: see PurgedSince::find.
  const Seen seen = purged_.read(lookup.key.site);
  Found miss;
  miss.seen = seen;
  miss.variant = lookup.key.hash;
  Ref<Object> object = memory_.find(lookup.key.hash);
  if (object && object->meta().vary_mark) {
    miss.variant = variant_key(lookup.key.hash, object->meta().vary, lookup.request);
    miss.reason = Reason::vary;
    object = memory_.find(miss.variant);
  }
  if (!object || object->meta().vary_mark || object->meta().key.text != lookup.key.text) {
    return miss;
  }
  Found found = judge_object(lookup, seen, std::move(object));
  found.variant = miss.variant;
  return found;
}

Found Store::judge_object(const Lookup& lookup, const Seen& seen, Ref<Object> object) const {
  Found found;
  found.seen = seen;
  found.variant = object->meta().variant;
  const SitePolicy& policy = lookup.policy;
  const bool in_lag = purged_.lag(lookup.now) > policy.lag_limit;
  const PurgeVerdict purged = purged_.find(seen, *object);
  if (purged == PurgeVerdict::purged) {
    // Never used again, not even to ask with.
    const_cast<Store*>(this)->erase(*object);
    found.reason = Reason::purged;
    return found;
  }
  const Reuse reuse = judge_reuse(object->meta().freshness, lookup.request, policy, lookup.wall);
  found.ttl = reuse.ttl;
  found.reason = reuse.reason;
  found.stale_if_error = reuse.stale_if_error;
  found.in_lag = in_lag;
  switch (reuse.verdict) {
    case Reuse::Verdict::fresh:
      found.verdict = Found::Verdict::fresh;
      break;
    case Reuse::Verdict::stale_while_revalidate:
      found.verdict = Found::Verdict::swr;
      break;
    case Reuse::Verdict::revalidate:
      found.verdict = Found::Verdict::revalidate;
      break;
  }
  if (purged == PurgeVerdict::soft) {
    found.verdict = Found::Verdict::revalidate;
    found.reason = Reason::soft_purged;
    found.ttl = std::min<int64_t>(found.ttl, 0);  // not fresh any more, whatever its origin said
  }
  if (in_lag && policy.on_lag != OnLag::serve) {
    const MonoTime validated = object->last_validated();
    const bool usable =
        found.verdict == Found::Verdict::fresh || found.verdict == Found::Verdict::swr;
    if (policy.on_lag == OnLag::fail) {
      if (usable) found.verdict = Found::Verdict::lag_fail;
      found.stale_if_error = false;
    } else if (validated.ns == 0 || lookup.now - validated > policy.lag_limit) {
      // Past the limit nothing stands but what the origin says now.
      if (usable) found.verdict = Found::Verdict::revalidate;
      found.stale_if_error = false;
    }
    if (usable) found.reason = Reason::lag;
  }
  found.proof = std::max(object->pos(), seen.applied);
  found.object = std::move(object);
  return found;
}

// --- store

// Says under the key which names choose its variants, and which variants there are. False: what is
// there began later and is no mark of these names, so that the variant would never be found.
bool Store::put_mark(const ObjectMeta& meta, uint32_t max_variants) {
  ObjectMeta mark;
  mark.key = meta.key;
  mark.variant = meta.key.hash;
  mark.vary_mark = true;
  mark.vary = meta.vary;
  mark.generation = meta.generation;
  mark.pos = meta.pos;
  mark.local = meta.local;
  const Ref<Object> there = memory_.find(meta.key.hash);
  const bool known = there && same_names(*there, meta.vary);
  if (known) {
    mark.tags = there->meta().tags;
    mark.generation = std::max(mark.generation, there->meta().generation);
    for (size_t i = 0; i + 1 < mark.tags.size(); i += 2) {
      if (mark.tags[i] == meta.variant.hi && mark.tags[i + 1] == meta.variant.lo) return true;
    }
  }
  mark.tags.push_back(meta.variant.hi);
  mark.tags.push_back(meta.variant.lo);
  while (mark.tags.size() / 2 > std::max(max_variants, 1u)) {
    const Hash128 oldest{mark.tags[0], mark.tags[1]};
    memory_.erase(oldest, ~uint64_t{0});
    if (disk_ != nullptr) disk_->erase(oldest, ~uint64_t{0});
    mark.tags.erase(mark.tags.begin(), mark.tags.begin() + 2);
  }
  const Ref<Object> object(new Object(std::move(mark), std::vector<Slice>()));
  if (memory_.try_put(meta.key.hash, object) == MemoryTier::Put::younger) return false;
  if (!known) keep_on_disk(*object);
  return true;
}

MemoryTier::Put Store::put_object(const Ref<Object>& object, uint32_t max_variants,
                                  uint64_t only_replacing) {
  const ObjectMeta& meta = object->meta();
  if (!meta.vary.empty()) {
    const std::lock_guard lock(variants_[meta.key.hash.hi % kVariantStripes]);
    if (!put_mark(meta, max_variants)) return MemoryTier::Put::younger;
    return memory_.try_put(meta.variant, object, only_replacing);
  }
  return memory_.try_put(meta.variant, object, only_replacing);
}

// The whole object, whose body is in memory; whatever was there goes if it can't be written.
void Store::keep_on_disk(const Object& object) {
  if (disk_ == nullptr) return;
  const ObjectMeta& meta = object.meta();
  DiskRecord record;
  record.key = meta.variant;
  record.canonical_key = meta.key.text;
  record.meta = encode_meta(meta);
  record.pos = object.pos();
  record.generation = meta.generation;
  record.expiry = meta.freshness.response_time.seconds() + meta.freshness.lifetime_s;
  std::unique_ptr<DiskWrite> write = disk_->begin_write(std::move(record), meta.body_size);
  for (const Slice& piece : object.body()) {
    if (write != nullptr && !write->append(piece).ok()) write.reset();
  }
  if (write == nullptr) {
    disk_->erase(meta.variant, meta.generation);
    return;
  }
  write->commit();
}

Ref<Object> Store::freshen(const Ref<Object>& stored, NewObject update, bool is_head, Reason* why) {
  const ObjectMeta& old = stored->meta();
  const auto refuse = [why](Reason reason) {
    if (why != nullptr) *why = reason;
    return Ref<Object>();
  };
  ObjectMeta meta = old;
  freshen_fields(meta.fields, update.fields);
  clean_stored_fields(meta.fields, update.strip_set_cookie);
  meta.freshness = update.freshness;
  meta.validators = validators_of(meta.fields);
  meta.generation = update.generation;
  meta.pos = is_head ? stored->pos() : update.pos;
  meta.local = is_head ? stored->local() : update.start.local;
  const std::string origin = update.request == nullptr ? std::string() : origin_of(*update.request);
  Tags fresh = parse_tags(meta.fields, update.policy->tags_max, origin);
  const Tags all = union_of(old.tags, fresh.hashes, update.policy->tags_max);
  if (fresh.overflow || all.overflow) {
    erase(*stored);
    return refuse(Reason::tags_overflow);
  }
  const bool tags_changed = all.hashes != old.tags;
  meta.tags = all.hashes;
  if (stored->source() != nullptr && tags_changed) {
    // The record on disk would keep the old tags, and no purge by a new one would find it.
    erase(*stored);
    return refuse(Reason::tags_overflow);
  }

  // Looked at again now: a hard-purged copy is never a validator.
  const Marks known = purged_.newest(meta.key.purge_keys(meta.tags));
  if (known.hard > stored->pos() || known.local > stored->local()) {
    erase(*stored);
    return refuse(Reason::purged);
  }
  if (!is_head && overtaken(update.start, update.pos, known)) {
    return refuse(Reason::purged_meanwhile);
  }
  Ref<Object> object(stored->source() != nullptr
                         ? new Object(std::move(meta), stored->shared_source())
                         : new Object(std::move(meta), stored->body()));
  object->set_validated(is_head ? stored->last_validated() : update.first_byte_sent);
  // What was evicted meanwhile was replaced by nobody; a body on disk needs its new numbers here.
  const uint64_t only = stored->source() != nullptr ? 0 : old.generation;
  switch (put_object(object, update.policy->max_variants, only)) {
    case MemoryTier::Put::younger:
      return refuse(Reason::younger);
    case MemoryTier::Put::stored:
    case MemoryTier::Put::gone:
    case MemoryTier::Put::no_room:
      break;
  }
  if (object->in_memory()) keep_on_disk(*object);
  return object;
}

void Store::erase(const Object& object) {
  memory_.erase(object.meta().variant, object.meta().generation);
  if (disk_ != nullptr) disk_->erase(object.meta().variant, object.meta().generation);
}

// --- hit for miss

Store::MarkShard& Store::mark_shard(const Hash128& key) const {
  return marks_[key.hi % kMarkShards];
}

bool Store::hit_for_miss(const CacheKey& key, MonoTime now) {
  MarkShard& in = mark_shard(key.hash);
  Seen seen;
  {
    const std::lock_guard lock(in.mutex);
    const auto it = in.marks.find(key.hash);
    if (it == in.marks.end()) return false;
    Mark& mark = it->second;
    if (now >= mark.until) {
      // This caller learns anew; the others go on until it has.
      mark.until = now + kFirstMark;
      mark.learning = true;
      return false;
    }
    seen = mark.seen;
  }
  // A mark dies with any purge that hits its key.
  const Marks known = purged_.newest(key.purge_keys());
  if (known.newest() <= seen.applied && known.local <= seen.last_local) return true;
  forget_mark(key);
  return false;
}

void Store::mark_hit_for_miss(const CacheKey& key, MonoTime now) {
  const Seen seen = purged_.read(key.site);
  MarkShard& in = mark_shard(key.hash);
  const std::lock_guard lock(in.mutex);
  if (in.marks.size() >= kMarksInShard && in.marks.count(key.hash) == 0) {
    std::erase_if(in.marks, [now](const auto& one) { return now >= one.second.until; });
    if (in.marks.size() >= kMarksInShard) in.marks.erase(in.marks.begin());
  }
  Mark& mark = in.marks[key.hash];
  // A mark that is renewed at its end lives longer; many that answer at once count once.
  if (mark.length == Duration::zero()) {
    mark.length = kFirstMark;
  } else if (mark.learning || now >= mark.until) {
    mark.length = std::min(mark.length * 2, kLongestMark);
  }
  mark.until = now + mark.length;
  mark.learning = false;
  mark.seen = seen;
}

void Store::forget_mark(const CacheKey& key) {
  MarkShard& in = mark_shard(key.hash);
  const std::lock_guard lock(in.mutex);
  in.marks.erase(key.hash);
}

}  // namespace bw::edge
