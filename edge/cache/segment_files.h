// The segment files: one a slot, preallocated, overwritten for ever.
//
// Threads: reads from any thread; everything else from the writer. Lifetime: a file that is removed
// stays readable for reads under way. Bounds: one descriptor a slot. Errors: not_found means that
// the slot carries another segment by now.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "edge/cache/segment.h"

namespace bw::edge {

class SegmentFiles {
 public:
  SegmentFiles(std::string folder, std::function<int()> write_fault,
               std::function<int()> read_fault);

  // Forgets all files; afterwards there are `slots` empty slots of `segment_size`.
  void reset(uint32_t slots, uint64_t segment_size);
  uint32_t slots() const;
  uint64_t segment_size() const { return segment_size_; }

  // Opens what an earlier run left in a slot. Errors: not_found, corrupt (shorter than a segment).
  Status open(uint32_t slot);
  // Makes the slot's file, or takes over the one that is there, with room for a whole segment.
  // Errors: no_space when less than `spare` bytes would be left on the file system.
  Status make(uint32_t slot, uint64_t spare);
  // From now on the slot carries this segment; 0: none, reads of the one before fail.
  void assign(uint32_t slot, uint64_t sequence);
  bool carries(const Place& place) const;
  Status write(const Place& place, std::string_view bytes);
  // Deletes the file: the room goes back to the file system.
  void remove(uint32_t slot);

  // Reads exactly `size` bytes that begin `skip` bytes behind `place`. Errors: not_found, io,
  // corrupt (the file ends before).
  Status read(const Place& place, uint64_t skip, char* into, size_t size) const;

  std::string path(uint32_t slot) const;

 private:
  struct File;
  struct Slot {
    std::shared_ptr<const File> file;
    uint64_t sequence = 0;
  };
  std::shared_ptr<const File> file_of(const Place& place) const;

  const std::string folder_;
  const std::function<int()> write_fault_;
  const std::function<int()> read_fault_;
  uint64_t segment_size_ = 0;
  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
};

}  // namespace bw::edge
