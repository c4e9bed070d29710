// Reading from the disk tier: from a key to a proven head, from an offset to proven bytes.

#include <algorithm>

#include "edge/cache/disk_impl.h"

namespace bw::edge {
namespace {

// A record up to this size comes with one read, body and all.
constexpr size_t kReadAhead = 256u << 10;

Error miss(std::string_view text) {
  return Error{.kind = Error::Kind::not_found, .side = Error::Side::storage, .text = text};
}

bool all_blocks_hold(const std::vector<uint64_t>& checksums, std::string_view body) {
  for (size_t number = 0; number * kBlockSize < body.size(); ++number) {
    if (!block_holds(checksums, number, body.substr(number * kBlockSize, kBlockSize))) return false;
  }
  return true;
}

}  // namespace

struct DiskObject::State {
  DiskTier::Impl& tier;
  DiskRecord record;
  Place at;
  uint32_t head_size = 0;
  std::vector<Place> pieces;
  std::vector<uint64_t> checksums;  // of the bytes that lie with the head
  Slice body;                       // these bytes, when they came with the head

  Result<Slice> read(uint64_t offset, size_t length) const;
  // The checksums of a whole piece's blocks.
  Result<std::vector<uint64_t>> piece_checksums(size_t number) const;
  Error failed(const Error& error) const;
};

Error DiskTier::Impl::damaged(const Hash128& key, uint64_t generation, bool flood) {
  shared.checksum_failures.fetch_add(1, std::memory_order_relaxed);
  DiskWriter::Order order;
  order.kind = DiskWriter::Order::Kind::erase;
  order.key = key;
  order.generation = generation;
  writer.enqueue(std::move(order));
  if (flood) shared.health.count_checksum_failure();
  return Error{.kind = Error::Kind::corrupt,
               .side = Error::Side::storage,
               .text = "stored bytes fail their checksum"};
}

Result<DiskObject> DiskTier::Impl::look_up(const Hash128& key, std::string_view canonical_key) {
  const auto found = shared.catalogue.find(key);
  if (!found.ok()) {
    if (found.error().kind == Error::Kind::corrupt) {
      shared.catalogue_faults.fetch_add(1, std::memory_order_relaxed);
      shared.checksum_failures.fetch_add(1, std::memory_order_relaxed);
      shared.health.count_checksum_failure();
    }
    return found.error();
  }
  if (!found->has_value()) return miss("not on disk");
  const ObjectRow& row = **found;
  const bool whole = row.head_size + size_t{row.body_here} <= kReadAhead;
  const size_t size = row.head_size + (whole ? row.body_here : 0);
  const Ref<Buffer> buffer = Buffer::make(size);
  const Status got = shared.files.read(row.at, 0, buffer->data(), size);
  if (!got.ok()) {
    if (got.error().kind == Error::Kind::not_found) return got.error();
    damaged(key, row.generation, true);
    return miss("disk read failed");
  }
  auto head = parse_record_head({buffer->data(), row.head_size});
  if (!head.ok() || head->kind != RecordHead::Kind::object || head->key != key ||
      head->sequence != row.at.sequence || head->generation != row.generation ||
      head->body_here != row.body_here) {
    // Also what a machine that lost power didn't get to write: no sign of a bad disk.
    damaged(key, row.generation, false);
    return miss("record fails its checksum");
  }
  if (head->canonical_key != canonical_key) return miss("another key of the same hash");
  Slice body;
  if (whole) {
    body = Slice(buffer, buffer->data() + row.head_size, row.body_here);
    if (!all_blocks_hold(head->checksums, body.view())) {
      damaged(key, row.generation, true);
      return miss("body fails its checksum");
    }
  }
  DiskRecord record{.key = key,
                    .canonical_key = std::move(head->canonical_key),
                    .meta = std::move(head->meta),
                    .pos = std::max(head->pos, row.pos),
                    .generation = head->generation,
                    .expiry = head->expiry,
                    .body_size = head->body_size};
  return DiskObject(std::shared_ptr<DiskObject::State>(
      new DiskObject::State{.tier = *this,
                            .record = std::move(record),
                            .at = row.at,
                            .head_size = row.head_size,
                            .pieces = std::move(head->pieces),
                            .checksums = std::move(head->checksums),
                            .body = std::move(body)}));
}

void DiskTier::find(const Hash128& key, std::string canonical_key,
                    UniqueFunction<void(Result<DiskObject>)> done) {
  DiskShared& shared = impl_->shared;
  if (!shared.health.ok()) {
    shared.misses.fetch_add(1, std::memory_order_relaxed);
    done(Error{.kind = Error::Kind::io, .side = Error::Side::storage, .text = "disk tier is off"});
    return;
  }
  impl_->reads.submit<DiskObject>(
      [impl = impl_.get(), key, canonical_key = std::move(canonical_key)] {
        return impl->look_up(key, canonical_key);
      },
      [&shared, done = std::move(done)](Result<DiskObject> found) mutable {
        (found.ok() ? shared.reads : shared.misses).fetch_add(1, std::memory_order_relaxed);
        done(std::move(found));
      });
}

DiskObject::DiskObject(std::shared_ptr<State> state) : state_(std::move(state)) {}

const DiskRecord& DiskObject::record() const { return state_->record; }

void DiskObject::read(uint64_t offset, size_t length,
                      UniqueFunction<void(Result<Slice>)> done) const {
  const State& state = *state_;
  BW_CHECK(offset < state.record.body_size && length > 0);
  const uint64_t tail = state.pieces.size() * uint64_t{kPieceSize};
  if (offset >= tail && !state.body.empty()) {
    const auto from = static_cast<size_t>(offset - tail);
    done(state.body.part(from, std::min(length, state.body.size() - from)));
    return;
  }
  state.tier.reads.submit<Slice>(
      [held = state_, offset, length] { return held->read(offset, length); }, std::move(done));
}

Error DiskObject::State::failed(const Error& error) const {
  if (error.kind == Error::Kind::not_found) return error;
  return tier.damaged(record.key, record.generation, true);
}

Result<std::vector<uint64_t>> DiskObject::State::piece_checksums(size_t number) const {
  std::string bytes(piece_head_size(), '\0');
  const Place& place = pieces[number];
  const Status got = tier.shared.files.read(place, 0, bytes.data(), bytes.size());
  if (!got.ok()) return failed(got.error());
  auto head = parse_record_head(bytes);
  if (!head.ok() || head->kind != RecordHead::Kind::piece || head->number != number ||
      head->key != record.key || head->generation != record.generation ||
      head->sequence != place.sequence || head->body_here != kPieceSize) {
    return tier.damaged(record.key, record.generation, false);
  }
  return std::move(head->checksums);
}

Result<Slice> DiskObject::State::read(uint64_t offset, size_t length) const {
  const auto number = static_cast<size_t>(offset / kPieceSize);
  const bool in_piece = number < pieces.size();
  const Place& place = in_piece ? pieces[number] : at;
  const uint64_t begin = number * uint64_t{kPieceSize};
  const size_t size =
      in_piece ? kPieceSize : static_cast<size_t>(record.body_size - begin);  // of this piece
  const auto from = static_cast<size_t>(offset - begin);
  size_t until = from + std::min(length, size - from);
  // Whole blocks are read, for their checksums; what ends within a block ends before it instead,
  // so that the next read doesn't read it twice.
  if (until < size && until / kBlockSize * kBlockSize > from) {
    until = until / kBlockSize * kBlockSize;
  }
  std::vector<uint64_t> of_piece;
  if (in_piece) {
    auto known = piece_checksums(number);
    if (!known.ok()) return known.error();
    of_piece = std::move(*known);
  }
  const std::vector<uint64_t>& sums = in_piece ? of_piece : checksums;
  const size_t first = from / kBlockSize * kBlockSize;
  const size_t last = std::min(size, (until + kBlockSize - 1) / kBlockSize * kBlockSize);
  const Ref<Buffer> buffer = Buffer::make(last - first);
  const size_t skip = (in_piece ? piece_head_size() : head_size) + first;
  const Status got = tier.shared.files.read(place, skip, buffer->data(), last - first);
  if (!got.ok()) return failed(got.error());
  for (size_t block = first; block < last; block += kBlockSize) {
    const std::string_view bytes(buffer->data() + (block - first),
                                 std::min(kBlockSize, last - block));
    if (!block_holds(sums, block / kBlockSize, bytes)) {
      return tier.damaged(record.key, record.generation, true);
    }
  }
  return Slice(buffer, buffer->data() + (from - first), until - from);
}

}  // namespace bw::edge
