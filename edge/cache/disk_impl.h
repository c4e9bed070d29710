// The parts of a DiskTier, for disk_tier.cc, disk_object.cc and nobody else.
//
// Threads: as disk_tier.h says. Lifetime: reads end first, then the writer.
#pragma once

#include <memory>
#include <string>

#include "edge/cache/disk_reads.h"
#include "edge/cache/disk_shared.h"
#include "edge/cache/disk_tier.h"
#include "edge/cache/disk_writer.h"
#include "edge/cache/second_hit.h"

namespace bw::edge {

struct DiskTier::Impl {
  Impl(DiskOptions options, Clock& clock, std::unique_ptr<DiskFolder> folder)
      : shared(std::move(options), clock),
        writer(shared, std::move(folder)),
        reads({.readers = shared.options.readers, .wait = shared.options.read_wait}, clock,
              [this] { shared.health.fail(DiskState::failed, "a read hangs"); }) {}

  // On a reader.
  Result<DiskObject> look_up(const Hash128& key, std::string_view canonical_key);
  // Bytes aren't what was written: counted, and the object is erased. `flood`: many of these mean
  // that the disk is going.
  Error damaged(const Hash128& key, uint64_t generation, bool flood);

  DiskShared shared;
  SecondHit seen;
  DiskWriter writer;
  DiskReads reads;
};

}  // namespace bw::edge
