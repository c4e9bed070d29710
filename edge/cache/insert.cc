// Insert: one response on its way into memory and disk.

#include <algorithm>
#include <cstring>

#include "core/http/dates.h"
#include "edge/cache/store.h"
#include "edge/cache/stored_fields.h"
#include "edge/cache/tags.h"
#include "edge/cache/vary.h"

namespace bw::edge {

void clean_stored_fields(http::FieldList& fields, bool strip_set_cookie) {
  http::remove_hop_by_hop(fields);
  for (const http::FieldId id :
       {http::FieldId::age, http::FieldId::content_length, http::FieldId::cache_status}) {
    fields.remove(id);
  }
  if (strip_set_cookie) fields.remove(http::FieldId::set_cookie);
  std::vector<std::string> ours;
  for (const http::Field field : fields) {
    if (field.name.substr(0, 11) == "breakwater-") ours.emplace_back(field.name);
  }
  for (const std::string& name : ours) fields.remove(name);
}

std::string origin_of(const http::RequestHead& request) {
  return request.scheme + "://" + normalise_host(request.authority);
}

struct Insert::State {
  Store& store;
  std::shared_ptr<const SitePolicy> policy;
  FillStart start;
  MonoTime first_byte_sent;
  std::optional<uint64_t> length;
  ObjectMeta meta;
  bool in_memory = true;
  std::shared_ptr<BodyMemory> memory;  // what the body's pieces count in
  std::unique_ptr<DiskWrite> disk;
  Ref<Object> object;
  Reason reason = Reason::none;

  explicit State(Store& of) : store(of) {}

  // No slack: one piece up to kFlat, else only the last block is cut to its size. True: nothing of
  // it counts in `memory` any more.
  bool tidy(std::vector<Slice>& body) const {
    size_t size = 0;
    for (const Slice& piece : body) size += piece.size();
    BW_CHECK(size == meta.body_size);
    if (body.size() > 1 && size <= kFlat) {
      const Ref<Buffer> flat = Buffer::make(size);
      size_t at = 0;
      for (const Slice& piece : body) {
        std::memcpy(flat->data() + at, piece.data(), piece.size());
        at += piece.size();
      }
      body.assign(1, Slice(flat, flat->data(), size));
      return true;
    }
    if (body.empty() || memory == nullptr || memory->held() == size) return false;
    body.back() = Slice::copy_of(body.back().view());
    return body.size() == 1;
  }
};

Insert::Insert(std::unique_ptr<State> state) : state_(std::move(state)) {}
Insert::~Insert() = default;
Ref<Object> Insert::object() const { return state_->object; }
Reason Insert::reason() const { return state_->reason; }

std::unique_ptr<Insert> Store::begin_insert(NewObject object, Reason* why) {
  const auto refuse = [why](Reason reason) {
    if (why != nullptr) *why = reason;
    return std::unique_ptr<Insert>();
  };
  const SitePolicy& policy = *object.policy;
  const uint64_t length = object.content_length.value_or(0);
  if (length > policy.max_object_size) return refuse(Reason::too_large);
  const VarySet vary = parse_vary(object.fields);
  if (vary.star) return refuse(Reason::vary_star);
  const std::string origin = object.request == nullptr ? std::string() : origin_of(*object.request);
  Tags tags = parse_tags(object.fields, policy.tags_max, origin);
  if (tags.overflow) return refuse(Reason::tags_overflow);

  auto state = std::make_unique<Insert::State>(*this);
  ObjectMeta& meta = state->meta;
  meta.key = std::move(object.key);
  meta.vary = vary.names;
  meta.variant = object.request == nullptr ? meta.key.hash
                                           : variant_key(meta.key.hash, meta.vary, *object.request);
  meta.status = object.status;
  meta.fields = std::move(object.fields);
  clean_stored_fields(meta.fields, object.strip_set_cookie);
  if (!meta.fields.has(http::FieldId::date)) {
    // RFC 9110 section 6.6.1: who stores a response without a date gives it one.
    meta.fields.add(http::FieldId::date,
                    http::format_date(object.freshness.response_time.seconds()));
  }
  meta.tags = std::move(tags.hashes);
  meta.freshness = object.freshness;
  meta.validators = validators_of(meta.fields);
  meta.generation = object.generation;
  meta.pos = object.pos;
  meta.local = object.start.local;
  if (overtaken(object.start, meta.pos, purged_.newest(meta.key.purge_keys(meta.tags)))) {
    return refuse(Reason::purged_meanwhile);
  }

  Reason disk_refused = Reason::too_large;
  if (disk_ != nullptr) {
    DiskRecord record;
    record.key = meta.variant;
    record.canonical_key = meta.key.text;
    record.meta = encode_meta(meta);
    record.pos = meta.pos;
    record.generation = meta.generation;
    record.expiry = meta.freshness.response_time.seconds() + meta.freshness.lifetime_s;
    Error error;
    state->disk = disk_->begin_write(std::move(record), length, &error);
    if (error.kind != Error::Kind::too_large) disk_refused = Reason::disk_busy;
  }
  if (length > memory_.size() / 4) state->in_memory = false;
  if (!state->in_memory && state->disk == nullptr) return refuse(disk_refused);
  state->policy = std::move(object.policy);
  state->start = object.start;
  state->first_byte_sent = object.first_byte_sent;
  state->length = object.content_length;
  state->memory = std::move(object.memory);
  return std::make_unique<Insert>(std::move(state));
}

bool Insert::append(const Slice& piece) {
  State& s = *state_;
  if (s.reason != Reason::none) return false;
  const auto refuse = [&s](Reason reason) {
    s.reason = reason;
    s.in_memory = false;
    s.disk.reset();
    return false;
  };
  if (s.meta.body_size + piece.size() > s.policy->max_object_size) {
    return refuse(Reason::too_large);
  }
  const uint64_t quarter = s.store.memory_.size() / 4;
  bool large = false;
  if (s.in_memory) {
    large = s.meta.body_size + piece.size() > quarter;
    if (large) s.in_memory = false;
  }
  Reason disk_reason = Reason::too_large;
  if (s.disk != nullptr) {
    if (const Status status = s.disk->append(piece); !status.ok()) {
      s.disk.reset();
      if (status.error().kind != Error::Kind::too_large) disk_reason = Reason::disk_busy;
    }
  } else if (!large) {
    disk_reason = Reason::no_room;
  }
  s.meta.body_size += piece.size();
  return s.in_memory || s.disk != nullptr ? true : refuse(disk_reason);
}

bool Insert::let_go_of_memory() {
  State& s = *state_;
  s.in_memory = false;
  if (s.disk != nullptr) return true;
  if (s.reason == Reason::none) s.reason = Reason::no_room;
  return false;
}

bool Insert::in_memory() const { return state_->in_memory; }

bool Insert::commit(std::vector<Slice> body) {
  State& s = *state_;
  if (s.reason != Reason::none) return false;
  Store& store = s.store;
  const auto refuse = [&](Reason reason) {
    s.reason = reason;
    s.in_memory = false;
    s.disk.reset();
    return false;
  };
  if (s.length.has_value() && *s.length != s.meta.body_size) return refuse(Reason::incomplete);
  if (overtaken(s.start, s.meta.pos, store.purged_.newest(s.meta.key.purge_keys(s.meta.tags)))) {
    return refuse(Reason::purged_meanwhile);
  }
  const Hash128 variant = s.meta.variant;
  const uint64_t generation = s.meta.generation;
  const CacheKey key = s.meta.key;
  bool kept = false;
  if (s.in_memory) {
    const bool copied = s.tidy(body);
    const Ref<Object> object(new Object(s.meta, std::move(body)));
    object->set_validated(s.first_byte_sent);
    // What was counted on its way is now the object's to ask for.
    BodyMemory* const counted = copied ? nullptr : s.memory.get();
    if (counted != nullptr) counted->settle();
    const MemoryTier::Put put = store.put_object(object, s.policy->max_variants, 0);
    if (counted != nullptr && put != MemoryTier::Put::stored) counted->unsettle();
    s.in_memory = false;
    if (put == MemoryTier::Put::younger) return refuse(Reason::younger);
    kept = put == MemoryTier::Put::stored;
    if (kept) s.object = object;
  } else {
    // On disk only; what memory holds of the key is older and goes.
    if (!s.meta.vary.empty()) {
      const std::lock_guard lock(store.variants_[key.hash.hi % Store::kVariantStripes]);
      if (!store.put_mark(s.meta, s.policy->max_variants)) return refuse(Reason::younger);
    }
    const Ref<Object> there = store.memory_.find(variant);
    if (there && there->meta().generation > generation) return refuse(Reason::younger);
    store.memory_.erase(variant, generation);
  }
  if (s.disk != nullptr) {
    DiskRecord& record = s.disk->record();
    record.meta = encode_meta(s.meta);
    s.disk->commit();
    s.disk.reset();
    kept = true;
  } else if (store.disk_ != nullptr) {
    // An older one must not come back when memory has let go of this one.
    store.disk_->erase(variant, generation);
  }
  if (!kept) {
    s.reason = Reason::no_room;
    return false;
  }
  store.forget_mark(key);
  return true;
}

}  // namespace bw::edge
