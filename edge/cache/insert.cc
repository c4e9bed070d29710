// Insert: one response on its way into memory and disk.

#include <algorithm>
#include <cstring>

#include "core/http/dates.h"
#include "edge/cache/store.h"
#include "edge/cache/stored_fields.h"
#include "edge/cache/tags.h"
#include "edge/cache/vary.h"

namespace bw::edge {
namespace {

constexpr size_t kFlat = 1u << 20;         // bodies up to this lie in one piece
constexpr size_t kFirstBlock = 64u << 10;  // of a body whose length isn't known
constexpr size_t kBlock = 256u << 10;

}  // namespace

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
  std::vector<Slice> pieces;  // full blocks
  Ref<Buffer> block;          // the one that fills
  size_t filled = 0;
  size_t reserved = 0;
  std::unique_ptr<DiskWrite> disk;
  Ref<Object> object;
  Reason reason = Reason::none;

  explicit State(Store& of) : store(of) {}
  ~State() { drop_memory(); }

  void drop_memory() {
    in_memory = false;
    pieces.clear();
    block = {};
    filled = 0;
    store.memory_.release(reserved);
    reserved = 0;
  }
  bool start_block() {
    size_t size = meta.body_size + filled < kFlat ? kFirstBlock : kBlock;
    if (length.has_value()) {
      const uint64_t left = *length - std::min(*length, meta.body_size);
      size = static_cast<size_t>(std::clamp<uint64_t>(left, 1, *length <= kFlat ? kFlat : kBlock));
    }
    if (!store.memory_.reserve(size)) return false;
    reserved += size;
    block = Buffer::make(size);
    filled = 0;
    return true;
  }
  void end_block() {
    if (filled > 0) pieces.emplace_back(block, block->data(), filled);
    block = {};
    filled = 0;
  }
  // Copied into blocks of our own: a slice may pin a buffer far greater than itself, and then no
  // bound would hold.
  bool copy(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!block && !start_block()) return false;
      const size_t part = std::min(bytes.size(), block->capacity() - filled);
      std::memcpy(block->data() + filled, bytes.data(), part);
      filled += part;
      bytes.remove_prefix(part);
      if (filled == block->capacity()) end_block();
    }
    return true;
  }
  // No slack: one piece up to 1 MiB, else only the last block is cut to its size.
  std::vector<Slice> take_body() {
    const bool cut = block && filled > 0;
    end_block();
    if (pieces.size() > 1 && meta.body_size <= kFlat) {
      const Ref<Buffer> flat = Buffer::make(static_cast<size_t>(meta.body_size));
      size_t at = 0;
      for (const Slice& piece : pieces) {
        std::memcpy(flat->data() + at, piece.data(), piece.size());
        at += piece.size();
      }
      pieces.assign(1, Slice(flat, flat->data(), at));
    } else if (cut) {
      pieces.back() = Slice::copy_of(pieces.back().view());
    }
    return std::move(pieces);
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
  if (length > memory_.size() / 4) state->drop_memory();
  if (!state->in_memory && state->disk == nullptr) return refuse(disk_refused);
  state->policy = std::move(object.policy);
  state->start = object.start;
  state->first_byte_sent = object.first_byte_sent;
  state->length = object.content_length;
  return std::make_unique<Insert>(std::move(state));
}

bool Insert::append(const Slice& piece) {
  State& s = *state_;
  if (s.reason != Reason::none) return false;
  const auto refuse = [&s](Reason reason) {
    s.reason = reason;
    s.drop_memory();
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
    if (large || !s.copy(piece.view())) s.drop_memory();
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

bool Insert::commit() {
  State& s = *state_;
  if (s.reason != Reason::none) return false;
  Store& store = s.store;
  const auto refuse = [&](Reason reason) {
    s.reason = reason;
    s.drop_memory();
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
    std::vector<Slice> body = s.take_body();
    const Ref<Object> object(new Object(s.meta, std::move(body)));
    object->set_validated(s.first_byte_sent);
    s.drop_memory();  // what was reserved is now the object's to ask for
    const MemoryTier::Put put = store.put_object(object, s.policy->max_variants, 0);
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
