#include "edge/cache/segment_ring.h"

#include <algorithm>
#include <set>

namespace bw::edge {
namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kMaxSlots = 4096;

uint64_t segment_size_for(uint64_t size) {
  const uint64_t usual = std::clamp<uint64_t>(size / 64, 16 * kMiB, 256 * kMiB);
  const uint64_t least = size / 1024;  // descriptors are few
  return std::max(usual, least) / kMiB * kMiB;
}

// Room that is left to the catalogue and to others on the file system.
uint64_t spare_for(uint64_t size) { return std::clamp<uint64_t>(size / 16, 16 * kMiB, 256 * kMiB); }

}  // namespace

SegmentRing::SegmentRing(DiskShared& shared) : shared_(shared) {}

Status SegmentRing::load() {
  auto known = shared_.catalogue.segments();
  if (!known.ok()) return known.error();
  const uint64_t size = shared_.options.size;
  CatalogueBatch batch;
  uint64_t segment_size = known->segment_size;
  const bool recut =
      segment_size == 0 || segment_size > size / 4 || size / segment_size > kMaxSlots;
  if (recut) {
    segment_size = segment_size_for(size);
    batch.put_segment_size(segment_size);
  }
  const auto slots = static_cast<uint32_t>(size / segment_size);
  shared_.files.reset(slots, segment_size);
  rows_.clear();
  next_sequence_ = std::max<uint64_t>(known->next_sequence, 1);
  std::set<uint32_t> taken;
  for (const SegmentRow& row : known->rows) {
    next_sequence_ = std::max(next_sequence_, row.sequence + 1);
    bool usable = !recut && row.sequence != 0 && row.slot < slots && row.bytes <= segment_size &&
                  taken.insert(row.slot).second;
    if (usable) {
      const Status opened = shared_.files.open(row.slot);
      usable = opened.ok();
      if (!usable && opened.error().kind == Error::Kind::io) return opened.error();
    }
    if (!usable) {
      batch.erase_segment(row.sequence);
      continue;
    }
    shared_.files.assign(row.slot, row.sequence);
    rows_.emplace(row.sequence, row);
  }
  if (!batch.empty()) {
    const Status written = shared_.catalogue.write(batch);
    if (!written.ok()) return written;
  }
  slot_limit_ = slots;
  publish();
  return {};
}

Result<Place> SegmentRing::room(size_t size) {
  BW_CHECK(size <= shared_.files.segment_size());
  if (rows_.empty() || rows_.rbegin()->second.bytes + size > shared_.files.segment_size()) {
    const Status rolled = roll();
    if (!rolled.ok()) return rolled.error();
  }
  const SegmentRow& row = rows_.rbegin()->second;
  return Place{.slot = row.slot, .sequence = row.sequence, .offset = row.bytes};
}

Status SegmentRing::roll() {
  // A disk that was full may have room again.
  if (++rolls_ % 16 == 0) slot_limit_ = shared_.files.slots();
  CatalogueBatch batch;
  uint32_t slot = 0;
  bool made = false;
  if (rows_.size() < slot_limit_) {
    std::set<uint32_t> taken;
    for (const auto& [sequence, row] : rows_) taken.insert(row.slot);
    while (taken.contains(slot)) ++slot;
    const Status status = shared_.files.make(slot, spare_for(shared_.options.size));
    made = status.ok();
    if (!made && (status.error().kind != Error::Kind::no_space || rows_.empty())) return status;
    if (!made) slot_limit_ = rows_.size();
  }
  // The last row may have grown since it was last written.
  if (!rows_.empty()) batch.put(rows_.rbegin()->second);
  if (!made) {
    if (rows_.empty()) {
      return Error{.kind = Error::Kind::no_space,
                   .side = Error::Side::storage,
                   .text = "no room for one segment"};
    }
    const SegmentRow oldest = rows_.begin()->second;
    slot = oldest.slot;
    shared_.files.assign(slot, 0);
    batch.erase_segment(oldest.sequence);
    rows_.erase(rows_.begin());
    shared_.evicted_segments.fetch_add(1, std::memory_order_relaxed);
  }
  const SegmentRow row{.sequence = next_sequence_++, .slot = slot, .bytes = 0, .objects = 0};
  rows_.emplace(row.sequence, row);
  batch.put(row);
  batch.put_next_sequence(next_sequence_);
  // Before the first byte is overwritten: no row refers to the old bytes any more.
  const Status written = shared_.catalogue.write(batch);
  if (!written.ok()) return written;
  shared_.files.assign(slot, row.sequence);
  publish();
  return {};
}

void SegmentRing::advance(const Place& place, size_t size) {
  SegmentRow& row = rows_.rbegin()->second;
  BW_CHECK(row.sequence == place.sequence && row.bytes == place.offset);
  row.bytes += size;
  shared_.used.fetch_add(size, std::memory_order_relaxed);
}

void SegmentRing::end_current() {
  if (rows_.empty()) return;
  rows_.rbegin()->second.bytes = shared_.files.segment_size();
  slot_limit_ = rows_.size();
}

void SegmentRing::put_current(CatalogueBatch& batch) const {
  if (!rows_.empty()) batch.put(rows_.rbegin()->second);
}

void SegmentRing::count_object(CatalogueBatch& batch, uint64_t first_sequence, bool more) {
  const auto at = rows_.find(first_sequence);
  if (at == rows_.end()) return;
  if (more) {
    ++at->second.objects;
    shared_.objects.fetch_add(1, std::memory_order_relaxed);
  } else if (at->second.objects > 0) {
    --at->second.objects;
    shared_.objects.fetch_sub(1, std::memory_order_relaxed);
  }
  batch.put(at->second);
}

void SegmentRing::publish() const {
  uint64_t used = 0;
  uint64_t objects = 0;
  for (const auto& [sequence, row] : rows_) {
    used += row.bytes;
    objects += row.objects;
  }
  shared_.used.store(used, std::memory_order_relaxed);
  shared_.objects.store(objects, std::memory_order_relaxed);
  shared_.catalogue.set_oldest(rows_.empty() ? next_sequence_ : rows_.begin()->first);
}

}  // namespace bw::edge
