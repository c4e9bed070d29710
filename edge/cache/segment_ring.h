// The live segments in order of age: where the next record goes, and which segment goes for it.
//
// Threads: the writer's. Eviction is whole segments, oldest first: one row erased, no tombstones.
// Bounds: segments of size / 64, at least 16 MiB, at most 256 MiB or size / 1024. Errors: no_space
// when not even one segment fits; all others of files and catalogue.
#pragma once

#include <cstdint>
#include <map>

#include "core/base/result.h"
#include "edge/cache/disk_shared.h"

namespace bw::edge {

class SegmentRing {
 public:
  explicit SegmentRing(DiskShared& shared);

  // From the catalogue, just opened. Segments whose file is gone or cut off are forgotten; so are
  // all when the tier's size no longer suits the size that segments had.
  Status load();

  // Where `size` bytes may be written next; they stay free until advance().
  Result<Place> room(size_t size);
  void advance(const Place& place, size_t size);
  // The disk had no room for what was promised: the current segment ends, and no more are made.
  void end_current();

  bool is_live(uint64_t sequence) const { return rows_.contains(sequence); }
  // Adds the current segment's row, so that a record that is now referred to isn't overwritten.
  void put_current(CatalogueBatch& batch) const;
  // An object more or less whose oldest piece lies in this segment.
  void count_object(CatalogueBatch& batch, uint64_t first_sequence, bool more);

 private:
  Status roll();
  void publish() const;

  DiskShared& shared_;
  std::map<uint64_t, SegmentRow> rows_;  // the last is written to
  uint64_t next_sequence_ = 1;
  size_t slot_limit_ = 0;
  uint64_t rolls_ = 0;
};

}  // namespace bw::edge
