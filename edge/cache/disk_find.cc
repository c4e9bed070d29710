// Store::find_on_disk: from a miss in memory to an object whose body is on disk, or promoted.

#include "edge/cache/store.h"
#include "edge/cache/vary.h"

namespace bw::edge {
namespace {

constexpr uint64_t kPromoted = 1u << 20;  // bodies up to this are read into memory

class DiskBody final : public BodySource {
 public:
  explicit DiskBody(DiskObject object) : object_(std::move(object)) {}
  void read(uint64_t offset, size_t length, UniqueFunction<void(Result<Slice>)> done) override {
    object_.read(offset, length, std::move(done));
  }

 private:
  DiskObject object_;
};

}  // namespace

// One look-up on its way through the readers. Copies what Lookup refers to.
struct Store::DiskFind {
  std::shared_ptr<const SitePolicy> policy;
  CacheKey key;
  http::RequestHead request;
  MonoTime now;
  WallTime wall;
  Seen seen;  // read before the first look at the disk
  Hash128 variant;
  Reason absent = Reason::absent;
  uint64_t generation = 0;  // of what was found
  Position pos = 0;
  UniqueFunction<void(Found)> done;
  // A promotion under way.
  std::string body;

  Lookup lookup() const { return {*policy, key, request, now, wall}; }
  void miss(Reason reason) {
    Found found;
    found.seen = seen;
    found.variant = variant;
    found.reason = reason;
    done(std::move(found));
  }
};

void Store::find_on_disk(const Lookup& lookup, std::shared_ptr<const SitePolicy> policy,
                         UniqueFunction<void(Found)> done) {
  auto find = std::make_shared<DiskFind>();
  find->seen = purged_.read(lookup.key.site);
  find->policy = std::move(policy);
  find->key = lookup.key;
  find->request = lookup.request;
  find->now = lookup.now;
  find->wall = lookup.wall;
  find->variant = lookup.key.hash;
  find->done = std::move(done);
  const Ref<Object> mark = memory_.find(lookup.key.hash);
  if (mark && mark->meta().vary_mark) {
    find->variant = variant_key(lookup.key.hash, mark->meta().vary, lookup.request);
    find->absent = Reason::vary;
  }
  if (disk_ == nullptr) {
    find->miss(find->absent);
    return;
  }
  disk_->find(find->variant, find->key.text,
              [this, find](Result<DiskObject> answer) { on_disk_answer(find, std::move(answer)); });
}

void Store::on_disk_answer(std::shared_ptr<DiskFind> find, Result<DiskObject> answer) {
  if (!answer.ok()) {
    find->miss(answer.error().kind == Error::Kind::busy ? Reason::disk_busy : find->absent);
    return;
  }
  DiskObject stored = std::move(*answer);
  Result<ObjectMeta> decoded = decode_meta(stored.record().meta);
  if (!decoded.ok() || decoded->key.text != find->key.text || decoded->variant != find->variant) {
    if (!decoded.ok()) disk_->erase(find->variant, stored.record().generation);
    find->miss(find->absent);
    return;
  }
  ObjectMeta meta = std::move(*decoded);
  if (meta.vary_mark) {
    if (find->absent == Reason::vary) {  // a mark is never under a variant's key
      find->miss(Reason::vary);
      return;
    }
    find->variant = variant_key(find->key.hash, meta.vary, find->request);
    find->absent = Reason::vary;
    meta.key = find->key;
    const Ref<Object> mark(new Object(std::move(meta), std::vector<Slice>()));
    (void)memory_.put(find->key.hash, mark);
    disk_->find(find->variant, find->key.text,
                [this, find](Result<DiskObject> next) { on_disk_answer(find, std::move(next)); });
    return;
  }
  meta.key = find->key;  // ids of sites are this process's own
  meta.pos = stored.record().pos;
  meta.generation = stored.record().generation;
  meta.body_size = stored.record().body_size;
  find->generation = meta.generation;
  find->pos = meta.pos;
  if (meta.body_size > 0 && meta.body_size <= kPromoted && memory_.reserve(meta.body_size)) {
    find->body.reserve(meta.body_size);
    promote(std::move(find), std::move(meta), std::move(stored));
    return;
  }
  if (meta.body_size == 0) {
    const Ref<Object> object(new Object(std::move(meta), std::vector<Slice>()));
    (void)put_object(object, find->policy->max_variants, 0);
    finish(*find, object);
    return;
  }
  finish(*find,
         Ref<Object>(new Object(std::move(meta), std::make_shared<DiskBody>(std::move(stored)))));
}

// Reads the whole body, piece by piece, and puts the object into memory.
void Store::promote(std::shared_ptr<DiskFind> find, ObjectMeta meta, DiskObject stored) {
  const uint64_t offset = find->body.size();
  const auto length = static_cast<size_t>(meta.body_size - offset);
  const DiskObject& from = stored;
  // The record is read from `stored` before it moves into the callback.
  auto held = std::make_shared<std::pair<ObjectMeta, DiskObject>>(std::move(meta), from);
  held->second.read(offset, length, [this, find, held](Result<Slice> piece) mutable {
    const uint64_t size = held->first.body_size;
    if (!piece.ok() || piece->empty() || piece->size() > size - find->body.size()) {
      memory_.release(size);
      find->miss(find->absent);
      return;
    }
    find->body += piece->view();
    if (find->body.size() < size) {
      promote(find, std::move(held->first), held->second);
      return;
    }
    std::vector<Slice> body = {Slice::copy_of(find->body)};
    find->body = {};
    memory_.release(size);
    const Ref<Object> object(new Object(std::move(held->first), std::move(body)));
    if (put_object(object, find->policy->max_variants, 0) == MemoryTier::Put::younger) {
      find->done(this->find(find->lookup()));
      return;
    }
    finish(*find, object);
  });
}

void Store::finish(DiskFind& find, Ref<Object> object) {
  const Lookup lookup = find.lookup();
  const Position before = find.pos;
  Found found = judge_object(lookup, find.seen, object);
  found.variant = find.variant;
  // Forgetting then costs this object nothing.
  if (found.object && object->pos() > before) {
    disk_->raise_pos(find.variant, find.generation, object->pos());
  }
  find.done(std::move(found));
}

}  // namespace bw::edge
