#include "edge/cache/disk_tier.h"

#include <algorithm>
#include <cstring>

#include "edge/cache/disk_impl.h"

namespace bw::edge {
namespace {

constexpr uint64_t kLeastSize = 64u << 20;
constexpr Duration kOpenWait = std::chrono::seconds(2);
constexpr size_t kSmallSlice = 16u << 10;
constexpr size_t kOrderCharge = 512;  // what an order costs beside its bytes

Error error(Error::Kind kind, std::string_view text) {
  return Error{.kind = kind, .side = Error::Side::storage, .text = text};
}

size_t charge_of(const DiskRecord& record) {
  return kOrderCharge + record.canonical_key.size() + record.meta.size();
}

}  // namespace

std::string_view to_text(DiskState state) {
  switch (state) {
    case DiskState::off:
      return "off";
    case DiskState::ok:
      return "ok";
    case DiskState::full:
      return "full";
    case DiskState::failed:
      return "failed";
  }
  return "";
}

// --- Writing

struct DiskWrite::State {
  DiskTier::Impl& tier;
  DiskRecord record;
  std::shared_ptr<DiskWriter::Session> session;
  uint64_t most = 0;           // bytes of body
  std::vector<Slice> waiting;  // of the piece that isn't full yet
  size_t waiting_size = 0;
  size_t charge = 0;  // of the queue: what waits, and the record
  bool failed = false;
  Ref<Buffer> block;  // small slices are gathered here
  size_t filled = 0;

  Error fail(Error why) {
    failed = true;
    session->dead.store(true, std::memory_order_relaxed);
    waiting.clear();
    waiting_size = 0;
    block = {};
    tier.writer.release(std::exchange(charge, 0));
    tier.shared.refused.fetch_add(1, std::memory_order_relaxed);
    return why;
  }

  bool is_dead() const {
    return session->dead.load(std::memory_order_relaxed) || !tier.shared.health.ok() ||
           session->incarnation != tier.writer.incarnation();
  }

  // A small slice may pin a buffer far greater than itself: it is copied, so that what is charged
  // is what is held.
  void add(const Slice& part) {
    waiting_size += part.size();
    if (part.size() >= kSmallSlice) {
      end_block();
      waiting.push_back(part);
      return;
    }
    std::string_view bytes = part.view();
    while (!bytes.empty()) {
      if (!block) block = Buffer::make(waiting.empty() ? bytes.size() : kBlockSize);
      const size_t copied = std::min(bytes.size(), block->capacity() - filled);
      std::memcpy(block->data() + filled, bytes.data(), copied);
      filled += copied;
      bytes.remove_prefix(copied);
      if (filled == block->capacity()) end_block();
    }
  }
  void end_block() {
    if (filled > 0) waiting.push_back(Slice(block, block->data(), filled));
    block = {};
    filled = 0;
  }

  void send_piece() {
    end_block();
    DiskWriter::Order order;
    order.kind = DiskWriter::Order::Kind::piece;
    order.session = session;
    order.body.swap(waiting);
    order.body_size = std::exchange(waiting_size, 0);
    order.charge = order.body_size;
    charge -= order.charge;
    tier.writer.enqueue(std::move(order));
  }
};

DiskWrite::DiskWrite(std::unique_ptr<State> state) : state_(std::move(state)) {}

DiskWrite::~DiskWrite() {
  if (state_ == nullptr) return;
  state_->session->dead.store(true, std::memory_order_relaxed);
  state_->tier.writer.release(state_->charge);
}

DiskRecord& DiskWrite::record() { return state_->record; }

Status DiskWrite::append(Slice piece) {
  State& state = *state_;
  BW_CHECK(!state.failed);
  if (state.is_dead()) return state.fail(error(Error::Kind::io, "disk tier failed meanwhile"));
  if (piece.size() > state.most - state.record.body_size) {
    return state.fail(error(Error::Kind::too_large, "object is too large for the disk tier"));
  }
  if (!state.tier.writer.reserve(piece.size())) {
    return state.fail(error(Error::Kind::busy, "the disk's queue is full"));
  }
  state.charge += piece.size();
  state.record.body_size += piece.size();
  while (!piece.empty()) {
    // A full piece goes out when more comes: the last bytes stay with the head.
    if (state.waiting_size == kPieceSize) state.send_piece();
    const size_t part = std::min(piece.size(), kPieceSize - state.waiting_size);
    state.add(piece.part(0, part));
    piece.remove_prefix(part);
  }
  return {};
}

void DiskWrite::commit(UniqueFunction<void(Status)> done) {
  const std::unique_ptr<State> state = std::move(state_);
  BW_CHECK(state != nullptr && !state->failed);
  // What record() let the caller change.
  DiskRecord& record = state->record;
  record.key = state->session->key;
  record.generation = state->session->generation;
  const size_t charge = state->waiting_size + charge_of(record);
  Error why{};
  if (state->is_dead()) {
    why = error(Error::Kind::io, "disk tier failed meanwhile");
  } else if (record.canonical_key.size() > kMaxCanonicalKey || record.meta.size() > kMaxMeta) {
    why = error(Error::Kind::too_large, "key or meta is too large");
  } else if (charge > state->charge && !state->tier.writer.reserve(charge - state->charge)) {
    why = error(Error::Kind::busy, "the disk's queue is full");
  } else {
    DiskWriter::Order order;
    order.kind = DiskWriter::Order::Kind::commit;
    order.session = state->session;
    state->end_block();
    order.body.swap(state->waiting);
    order.body_size = state->waiting_size;
    order.charge = std::max(charge, state->charge);
    order.record = std::make_unique<DiskRecord>(std::move(record));
    order.done = std::move(done);
    state->charge = 0;
    state->tier.writer.enqueue(std::move(order));
    return;
  }
  const Status refused = state->fail(why);
  state->tier.writer.erase_older(*state->session);
  if (done) done(refused);
}

// --- The tier

DiskTier::DiskTier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DiskTier::~DiskTier() { BW_CHECK(thread_may_block()); }

Result<std::unique_ptr<DiskTier>> DiskTier::open(DiskOptions options, Clock& clock,
                                                 std::string* why) {
  BW_CHECK(thread_may_block());
  if (options.size < kLeastSize) {
    if (why != nullptr) *why = options.path + ": a disk tier has at least 64 MiB";
    return error(Error::Kind::too_large, "disk tier is too small");
  }
  auto folder = DiskFolder::open(options.path, options.write_fault, clock, why);
  if (!folder.ok()) return folder.error();
  auto impl = std::make_unique<Impl>(std::move(options), clock, std::move(*folder));
  impl->writer.wait_opened(kOpenWait);
  return std::unique_ptr<DiskTier>(new DiskTier(std::move(impl)));
}

std::unique_ptr<DiskWrite> DiskTier::begin_write(DiskRecord record, uint64_t expected_size,
                                                 Error* why) {
  DiskShared& shared = impl_->shared;
  const auto refuse = [&](Error::Kind kind, std::string_view text) {
    auto& counter = kind == Error::Kind::refused ? shared.not_admitted : shared.refused;
    counter.fetch_add(1, std::memory_order_relaxed);
    if (why != nullptr) *why = error(kind, text);
    return nullptr;
  };
  if (!shared.health.ok()) return refuse(Error::Kind::io, "disk tier is off");
  if (expected_size > max_object() || record.canonical_key.size() > kMaxCanonicalKey ||
      record.meta.size() > kMaxMeta) {
    return refuse(Error::Kind::too_large, "object is too large for the disk tier");
  }
  if (shared.options.admission == DiskAdmission::second_hit &&
      shared.used.load(std::memory_order_relaxed) / 9 >= shared.options.size / 10 &&
      !impl_->seen.came_before(record.key)) {
    return refuse(Error::Kind::refused, "not admitted at its first miss");
  }
  const size_t charge = charge_of(record);
  if (!impl_->writer.reserve(charge)) return refuse(Error::Kind::busy, "the disk's queue is full");
  auto session = std::make_shared<DiskWriter::Session>();
  session->key = record.key;
  session->generation = record.generation;
  session->incarnation = impl_->writer.incarnation();
  record.body_size = 0;
  return std::make_unique<DiskWrite>(
      std::unique_ptr<DiskWrite::State>(new DiskWrite::State{.tier = *impl_,
                                                             .record = std::move(record),
                                                             .session = std::move(session),
                                                             .most = max_object(),
                                                             .waiting = {},
                                                             .charge = charge}));
}

void DiskTier::raise_pos(const Hash128& key, uint64_t generation, uint64_t pos) {
  if (!impl_->shared.health.ok()) return;
  DiskWriter::Order order;
  order.kind = DiskWriter::Order::Kind::raise;
  order.key = key;
  order.generation = generation;
  order.pos = pos;
  impl_->writer.enqueue(std::move(order));
}

void DiskTier::erase(const Hash128& key, uint64_t generation) {
  DiskWriter::Order order;
  order.kind = DiskWriter::Order::Kind::erase;
  order.key = key;
  order.generation = generation;
  impl_->writer.enqueue(std::move(order));
}

void DiskTier::flush(UniqueFunction<void()> done) {
  DiskWriter::Order order;
  order.done = [done = std::move(done)](Status) mutable { done(); };
  impl_->writer.enqueue(std::move(order));
}

uint64_t DiskTier::max_object() const {
  return std::min<uint64_t>(impl_->shared.options.size / 4, kMaxPieces * uint64_t{kPieceSize});
}

DiskState DiskTier::state() const { return impl_->shared.health.state(); }
std::string DiskTier::reason() const { return impl_->shared.health.reason(); }

DiskCounters DiskTier::counters() const {
  const DiskShared& shared = impl_->shared;
  const auto value = [](const std::atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  return {.size = shared.options.size,
          .used = value(shared.used),
          .objects = value(shared.objects),
          .reads = value(shared.reads),
          .misses = value(shared.misses),
          .writes = value(shared.writes),
          .refused = value(shared.refused),
          .not_admitted = value(shared.not_admitted),
          .queued_bytes = impl_->writer.queued_bytes(),
          .checksum_failures = value(shared.checksum_failures),
          .evicted_segments = value(shared.evicted_segments),
          .reopened = value(shared.reopened)};
}

}  // namespace bw::edge
