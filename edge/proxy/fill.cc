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
      requested_(home.loop().wall()) {}

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
    const uint64_t quarter = home_.store().memory().size() / 4;
    keep_all_ = storing_ && head.content_length.value_or(0) <= quarter;
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
          .generation = plan_.generation};
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

// Copies into blocks: a slice pins its block only.
void Fill::append(std::string_view piece) {
  while (!piece.empty()) {
    if (!buffer_ || buffer_used_ == buffer_->capacity()) {
      size_t size = kBlock;
      if (head_->head.content_length) {
        const uint64_t left =
            *head_->head.content_length - std::min(*head_->head.content_length, total_);
        size = static_cast<size_t>(std::clamp<uint64_t>(left, 1, kBlock));
      }
      buffer_ = Buffer::make(std::max(size, std::min(piece.size(), kBlock)));
      buffer_used_ = 0;
    }
    const size_t take = std::min(piece.size(), buffer_->capacity() - buffer_used_);
    std::memcpy(buffer_->data() + buffer_used_, piece.data(), take);
    publish(Slice(buffer_, buffer_->data() + buffer_used_, take));
    buffer_used_ += take;
    piece.remove_prefix(take);
  }
}

void Fill::publish(Slice piece) {
  if (insert_ != nullptr && !insert_->append(piece)) insert_.reset();
  const std::lock_guard lock(mutex_);
  total_ += piece.size();
  // Small ones grow together: a list of bytes would cost far more than the bytes.
  // Only within one block: two may lie side by side, and a slice pins but one of them.
  if (!pieces_.empty() && piece.data() != buffer_->data() &&
      pieces_.back().data() + pieces_.back().size() == piece.data()) {
    const Slice& last = pieces_.back();
    pieces_.back() = Slice(buffer_, last.data(), last.size() + piece.size());
  } else {
    pieces_.push_back(std::move(piece));
  }
  storing_ = insert_ != nullptr;
  if (keep_all_ && (!storing_ || total_ > home_.store().memory().size() / 4)) keep_all_ = false;
  trim_locked();
}

void Fill::on_fetch_end(const http::FieldList& trailers, bool proven) {
  if (ended_) return;
  Ref<Object> object;
  const bool stored = insert_ != nullptr && proven && insert_->commit();
  if (stored) object = insert_->object();
  home_.loop().retire(std::move(insert_));
  {
    const std::lock_guard lock(mutex_);
    trailers_ = std::make_shared<const http::FieldList>(trailers);
    object_ = object;
    storing_ = stored;
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

// --- readers

// Pauses, resumes or ends the fetch by what readers have read.
void Fill::look_at_readers() {
  bool pause = false;
  bool wanted = false;
  {
    const std::lock_guard lock(mutex_);
    look_posted_ = false;
    if (ended_) return;
    pause = must_pause_locked();
    wanted = state_ == FillState::connecting || storing_;
    for (const LoopReaders& one : loops_) wanted = wanted || !one.readers.empty();
  }
  if (!wanted) {
    fail({.kind = Error::Kind::cancelled,
          .side = Error::Side::client,
          .text = "nobody reads this response and it isn't stored"},
         true);  // who joined since we looked asks again
    return;
  }
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    fetch_->pause();
  } else {
    fetch_->resume();
  }
}

bool Fill::must_pause_locked() const {
  if (keep_all_ || state_ != FillState::body) return false;
  bool any = false;
  uint64_t slowest = UINT64_MAX;
  uint64_t fastest = 0;
  for (const LoopReaders& one : loops_) {
    for (const FillReader* reader : one.readers) {
      // Who reads on from the disk waits for the end, not we for him.
      if (reader->position_ < popped_bytes_) continue;
      any = true;
      slowest = std::min(slowest, reader->position_);
      fastest = std::max(fastest, reader->position_);
    }
  }
  if (!any) return false;
  return total_ - (storing_ ? fastest : slowest) > kWindow;
}

void Fill::trim_locked() {
  if (keep_all_) return;
  uint64_t slowest = UINT64_MAX;
  for (const LoopReaders& one : loops_) {
    for (const FillReader* reader : one.readers) {
      if (reader->position_ >= popped_bytes_) slowest = std::min(slowest, reader->position_);
    }
  }
  while (!pieces_.empty()) {
    const uint64_t piece_end = popped_bytes_ + pieces_.front().size();
    const bool read_by_all = piece_end <= slowest && slowest != UINT64_MAX;
    // Who is further behind than this reads on from the disk.
    const bool beyond = storing_ && total_ - popped_bytes_ > 2 * kWindow;
    // Nobody reads (yet): who comes later starts at the first byte, so it has to be there or gone.
    const bool unread = slowest == UINT64_MAX && total_ - popped_bytes_ > 2 * kWindow;
    if (!read_by_all && !beyond && !unread) return;
    popped_bytes_ = piece_end;
    ++popped_;
    pieces_.pop_front();
  }
}

void Fill::notify() {
  std::vector<net::Loop*> to_tell;
  {
    const std::lock_guard lock(mutex_);
    for (LoopReaders& one : loops_) {
      if (one.posted || one.readers.empty()) continue;
      one.posted = true;
      to_tell.push_back(one.loop);
    }
  }
  for (net::Loop* loop : to_tell) {
    loop->post([self = shared_from_this(), loop] { self->tell(loop); });
  }
}

void Fill::tell(net::Loop* loop) {
  std::vector<FillReader*> readers;
  const auto of_loop = [&](const LoopReaders& one) { return one.loop == loop; };
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(loops_.begin(), loops_.end(), of_loop);
    if (found == loops_.end()) return;
    found->posted = false;
    readers = found->readers;
  }
  for (FillReader* reader : readers) {
    {
      // One told before may have made this one leave.
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(loops_.begin(), loops_.end(), of_loop);
      if (found == loops_.end() ||
          std::find(found->readers.begin(), found->readers.end(), reader) == found->readers.end()) {
        continue;
      }
    }
    reader->watcher_.on_fill();
  }
}

void Fill::leave(FillReader& reader) {
  bool look = false;
  {
    const std::lock_guard lock(mutex_);
    for (LoopReaders& one : loops_) {
      if (one.loop == &reader.loop_) std::erase(one.readers, &reader);
    }
    trim_locked();
    look = !look_posted_ && state_ == FillState::body;
    if (look) look_posted_ = true;
  }
  if (look) home_.loop().post([self = shared_from_this()] { self->look_at_readers(); });
}

FillReader::FillReader(std::shared_ptr<Fill> fill, net::Loop& loop, FillWatcher& watcher)
    : fill_(std::move(fill)), loop_(loop), watcher_(watcher) {}

FillReader::~FillReader() { fill_->leave(*this); }

Slice FillReader::read() {
  Slice piece;
  bool look = false;
  {
    const std::lock_guard lock(fill_->mutex_);
    if (position_ < fill_->popped_bytes_) return {};
    if (index_ < fill_->popped_) {  // read to its end before it was let go
      index_ = fill_->popped_;
      within_ = static_cast<size_t>(position_ - fill_->popped_bytes_);
    }
    const std::deque<Slice>& pieces = fill_->pieces_;
    size_t at = static_cast<size_t>(index_ - fill_->popped_);
    if (at + 1 < pieces.size() && within_ == pieces[at].size()) {
      ++at;
      ++index_;
      within_ = 0;
    }
    if (at >= pieces.size() || within_ == pieces[at].size()) return {};
    piece = pieces[at].part(within_, pieces[at].size() - within_);
    within_ += piece.size();
    position_ += piece.size();
    fill_->trim_locked();
    look = !fill_->keep_all_ && !fill_->look_posted_ && fill_->state_ == FillState::body;
    if (look) fill_->look_posted_ = true;
  }
  if (look) {
    fill_->home_.loop().post([fill = fill_] { fill->look_at_readers(); });
  }
  return piece;
}

bool FillReader::at_end() const {
  const std::lock_guard lock(fill_->mutex_);
  return fill_->state_ == FillState::complete && position_ == fill_->total_;
}

bool FillReader::overrun() const {
  const std::lock_guard lock(fill_->mutex_);
  return position_ < fill_->popped_bytes_;
}

}  // namespace bw::edge
