#include "edge/proxy/fill.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "edge/cache/tags.h"
#include "edge/cache/vary.h"
#include "edge/proxy/coalescer.h"
#include "edge/proxy/forward.h"

namespace bw::edge {
namespace {

using http::FieldId;

constexpr size_t kBlock = 64 * 1024;
constexpr size_t kKeptBlock = 256 * 1024;  // of a large body that memory will hold

// Refusals that say nothing about whether the next response may be shared: they make no mark.
bool makes_mark(Reason reason) {
  switch (reason) {
    case Reason::purged_meanwhile:
    case Reason::tier_unproved:
    case Reason::disk_busy:
    case Reason::incomplete:
    case Reason::too_large:
    case Reason::none:
      return false;
    default:
      return true;
  }
}

}  // namespace

Fill::Fill(Worker& home, FillPlan plan)
    : home_(home),
      plan_(std::move(plan)),
      begun_(home.loop().now()),
      requested_(home.loop().wall()),
      memory_(std::make_shared<BodyMemory>(home.store().memory())) {}

Fill::~Fill() = default;

void Fill::start() {
  home_.keep(shared_from_this());
  fetch_ = std::make_unique<TieredFetch>(home_, plan_.request, *this);
  fetch_->start();
}

void Fill::close() {
  if (!ended_) {
    fail({.kind = Error::Kind::cancelled, .side = Error::Side::self, .text = "the node stops"},
         false);
  }
}

FillState Fill::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

bool Fill::may_join(Position need, std::optional<MonoTime> begun_after) const {
  if (begun_after && begun_ < *begun_after) return false;
  const PurgedSince& purged = home_.node().store.purged();
  std::shared_ptr<const FillHead> head;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != FillState::connecting && state_ != FillState::body) return false;
    if (popped_ > 0) return false;
    head = head_;
  }
  if (head == nullptr) {
    return bw::edge::may_join(plan_.start, need, purged.newest(plan_.key.purge_keys()));
  }
  return head->shareable && may_join_head(plan_.start, head->pos, need,
                                          purged.newest(plan_.key.purge_keys(head->tags)));
}

std::unique_ptr<FillReader> Fill::join(net::Loop& loop, FillWatcher& watcher) {
  auto reader = std::make_unique<FillReader>(shared_from_this(), loop, watcher);
  {
    const std::lock_guard lock(mutex_);
    auto found = std::find_if(loops_.begin(), loops_.end(),
                              [&](const LoopReaders& one) { return one.loop == &loop; });
    if (found == loops_.end()) found = loops_.insert(loops_.end(), LoopReaders{&loop, {}, false});
    found->readers.push_back(reader.get());
  }
  notify();
  return reader;
}

std::shared_ptr<const FillHead> Fill::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

Ref<Object> Fill::object() const {
  const std::lock_guard lock(mutex_);
  return object_;
}

Fill::Failure Fill::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::shared_ptr<const http::FieldList> Fill::trailers() const {
  const std::lock_guard lock(mutex_);
  return trailers_;
}

bool Fill::keeps_on_disk() const {
  const std::lock_guard lock(mutex_);
  return storing_ && !keep_all_;
}

// --- the response

void Fill::on_fetch_head(const http::ResponseHead& head) {
  if (ended_) return;  // what is retired may still tell until its turn is over
  auto made = std::make_shared<FillHead>();
  made->head = head;
  made->upstream = fetch_->upstream();
  made->tries = fetch_->tries();
  made->from_shield = fetch_->from_shield();
  judge_head(*made, head);
  if (head.status == 304) {
    on_not_modified(*made);
    return;
  }
  if (!made->shareable) leave_coalescer();
  {
    const std::lock_guard lock(mutex_);
    head_ = std::move(made);
    state_ = FillState::body;
    storing_ = insert_ != nullptr;
    keep_all_ = storing_ && insert_->in_memory();
  }
  notify();
  look_at_readers();
}

// Position, storability, tags: all that the head alone decides.
void Fill::judge_head(FillHead& made, const http::ResponseHead& received) {
  http::FieldList& fields = made.head.fields;
  const PurgedSince& purged = home_.store().purged();
  bool proved = true;
  Position answer = plan_.start.start;
  if (made.from_shield) {
    const std::optional<Position> said = proved_position(fields, purged, plan_.start.need);
    proved = said.has_value();
    answer = said.value_or(0);
    made.stale = fields.has(FieldId::breakwater_stale);
  }
  made.pos = fill_pos(plan_.start, answer);
  made.cache_status = fields.combined(FieldId::cache_status).value_or("");
  http::remove_hop_by_hop(fields);
  remove_tier_fields(fields);
  fields.remove(FieldId::cache_status);
  made.validators = validators_of(fields);
  const Tags tags = parse_tags(fields, plan_.policy->tags_max, origin_of(plan_.client));
  made.tags = tags.hashes;
  const VarySet vary = parse_vary(fields);
  made.vary = vary.names;
  if (received.status == 304) return;

  const Judgement judgement =
      judge(plan_.client, made.head, *plan_.policy, {requested_, home_.loop().wall()});
  made.freshness = judgement.freshness;
  made.strip_set_cookie = judgement.strip_set_cookie;
  made.not_stored = judgement.refused;
  if (made.not_stored == Reason::none && vary.star) made.not_stored = Reason::vary_star;
  if (made.not_stored == Reason::none && tags.overflow) made.not_stored = Reason::tags_overflow;
  made.shareable = made.not_stored == Reason::none;
  if (made.shareable) {
    // An error that a shield made up itself proves nothing and needs nothing proved.
    if (!proved) {
      made.not_stored = Reason::tier_unproved;
      home_.node().metrics.tier_unproved.add();
      log::warning("an answer of " + made.upstream +
                   " carries no purge position that this node knows: served, not stored");
    }
    // Lawful for who waits now; a tier below must not keep what is stale already.
    if (made.not_stored == Reason::none && made.stale) made.not_stored = Reason::expired;
    if (made.not_stored == Reason::none) begin_insert(made, judgement);
  } else if (makes_mark(made.not_stored) && received.status < 500) {
    home_.store().mark_hit_for_miss(plan_.key, home_.loop().now());
  }
}

void Fill::begin_insert(FillHead& made, const Judgement& judgement) {
  Reason why = Reason::none;
  insert_ = home_.store().begin_insert(new_object(made, judgement), &why);
  if (insert_ == nullptr) made.not_stored = why;
}

NewObject Fill::new_object(const FillHead& made, const Judgement& judgement) const {
  return {.policy = plan_.policy,
          .key = plan_.key,
          .request = &plan_.client,
          .status = made.head.status,
          .fields = made.head.fields,
          .content_length = made.head.content_length,
          .freshness = judgement.freshness,
          .strip_set_cookie = judgement.strip_set_cookie,
          .start = plan_.start,
          .pos = made.pos,
          .first_byte_sent = begun_,
          .generation = plan_.generation,
          .memory = memory_};
}

void Fill::on_not_modified(const FillHead& received) {
  if (!plan_.stored ||
      !not_modified_selects(received.head.fields, plan_.stored->meta().validators)) {
    // Not for what we asked with: asked again without a condition.
    fail({.kind = Error::Kind::malformed,
          .side = Error::Side::upstream,
          .text = "a 304 that selects no stored response"},
         static_cast<bool>(plan_.stored));
    return;
  }
  // Judged as the 200 it stands for: with the stored fields updated.
  http::ResponseHead updated;
  updated.status = plan_.stored->meta().status;
  updated.fields = plan_.stored->meta().fields;
  freshen_fields(updated.fields, received.head.fields);
  const Judgement judgement =
      judge(plan_.client, updated, *plan_.policy, {requested_, home_.loop().wall()});
  FillHead made = received;
  made.head.status = updated.status;
  Reason why = Reason::none;
  Ref<Object> object;
  if (judgement.storable() && !received.stale) {
    object = home_.store().freshen(plan_.stored, new_object(made, judgement), false, &why);
  }
  if (!object) {
    fail({.kind = Error::Kind::cancelled,
          .side = Error::Side::self,
          .text = "what was validated can't be used any more"},
         true);
    return;
  }
  auto kept = std::make_shared<FillHead>(std::move(made));
  kept->shareable = true;
  {
    const std::lock_guard lock(mutex_);
    head_ = std::move(kept);
    object_ = object;
  }
  end(FillState::validated);
}

void Fill::on_fetch_body(std::string_view piece) {
  if (ended_) return;
  append(piece);
  notify();
  look_at_readers();
}

// Copies into blocks, once for readers, memory and disk: a slice pins its block only.
void Fill::append(std::string_view piece) {
  while (!piece.empty()) {
    if (!block_ || block_used_ == block_->capacity()) next_block();
    const size_t take = std::min(piece.size(), block_->capacity() - block_used_);
    std::memcpy(block_->data() + block_used_, piece.data(), take);
    publish(Slice(block_, block_->data() + block_used_, take));
    block_used_ += take;
    piece.remove_prefix(take);
  }
}

// In one piece what memory will hold in one piece.
size_t Fill::block_size() const {
  const bool kept = insert_ != nullptr && insert_->in_memory();
  const std::optional<uint64_t>& length = head_->head.content_length;
  if (!length) return kept && total_ >= Insert::kFlat ? kKeptBlock : kBlock;
  const uint64_t left = *length - std::min(*length, total_);
  const size_t most = !kept ? kBlock : *length <= Insert::kFlat ? Insert::kFlat : kKeptBlock;
  return static_cast<size_t>(std::clamp<uint64_t>(left, 1, most));
}

void Fill::next_block() {
  block_ = memory_->try_block(block_size());
  while (!block_ && make_room()) block_ = memory_->try_block(block_size());
  const bool scarce = !block_;
  if (scarce) block_ = memory_->block(block_size());
  block_used_ = 0;
  const std::lock_guard lock(mutex_);
  scarce_ = scarce;
}

// Gives up what holds more than readers need: being kept in memory, then on disk. Not the disk
// when it spares several to wait for each other, or when someone is to read on from it.
bool Fill::make_room() {
  if (insert_ == nullptr) return false;
  const bool in_memory = insert_->in_memory();
  if (in_memory && !insert_->let_go_of_memory()) insert_.reset();
  std::unique_ptr<Insert> dropped;  // dies outside the lock
  const std::lock_guard lock(mutex_);
  if (!in_memory) {
    size_t readers = 0;
    bool overrun = false;
    for (const LoopReaders& one : loops_) {
      readers += one.readers.size();
      for (const FillReader* reader : one.readers) {
        overrun = overrun || reader->position_ < popped_bytes_;
      }
    }
    if (readers > 1 || overrun) return false;
    dropped = std::move(insert_);
  }
  storing_ = insert_ != nullptr;
  keep_all_ = false;
  trim_locked();
  return true;
}

void Fill::publish(Slice piece) {
  if (insert_ != nullptr && !insert_->append(piece)) insert_.reset();
  const std::lock_guard lock(mutex_);
  total_ += piece.size();
  // Small ones grow together: a list of bytes would cost far more than the bytes.
  if (pieces_.empty() || !pieces_.back().try_extend(block_.get(), piece.data(), piece.size())) {
    pieces_.push_back(std::move(piece));
  }
  storing_ = insert_ != nullptr;
  keep_all_ = keep_all_ && storing_ && insert_->in_memory();
  trim_locked();
}

void Fill::on_fetch_end(const http::FieldList& trailers, bool proven) {
  if (ended_) return;
  Ref<Object> object;
  bool stored = false;
  if (insert_ != nullptr && proven) {
    std::vector<Slice> body;
    if (insert_->in_memory()) body.assign(pieces_.begin(), pieces_.end());  // written here only
    stored = insert_->commit(std::move(body));
  }
  if (stored) object = insert_->object();
  home_.loop().retire(std::move(insert_));
  {
    const std::lock_guard lock(mutex_);
    trailers_ = std::make_shared<const http::FieldList>(trailers);
    object_ = object;
    storing_ = stored;
    if (object) {
      read_from_object_locked();
    } else {
      keep_all_ = false;
      trim_locked();
    }
  }
  end(FillState::complete);
}

void Fill::on_fetch_error(Error error) {
  if (!ended_) fail(error, false);
}

void Fill::fail(Error error, bool again) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = {error, again};
    storing_ = false;
  }
  end(FillState::failed);
}

// What was stored is stored before the key is free for another fill (see Coalescer).
void Fill::end(FillState state) {
  BW_CHECK(!ended_);
  ended_ = true;
  block_ = {};
  leave_coalescer();
  home_.loop().retire(std::move(fetch_));
  home_.loop().retire(std::move(insert_));
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
  }
  notify();
  // The last reference may be the worker's, and this call is inside one of our own events.
  home_.loop().post([worker = &home_, self = shared_from_this()] { worker->release(*self); });
}

void Fill::leave_coalescer() {
  if (!in_coalescer_) return;
  in_coalescer_ = false;
  home_.node().coalescer.remove(plan_.slot, *this);
}

}  // namespace bw::edge
