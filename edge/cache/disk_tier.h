// The disk tier: objects below memory, bodies in preallocated segment files, a RocksDB catalogue.
//
// Way of a fill: DiskWrite (loop) -> bounded queue -> writer thread -> segment file, then
// catalogue. Way of a hit: find (loop) -> reader thread -> catalogue, record, checksums ->
// callback. Threads: every public call from any thread and none of them blocks, but open() and the
// destructor; callbacks come on reader, watcher or writer threads, or inside the call when it is
// refused or its bytes are at hand, and may not block. Bounds: `queue_bytes` of bodies wait for the
// disk, 256 reads wait for a reader, 65,536 other changes for the writer. Errors: an error of the
// disk makes the tier answer misses and refuse writes; the writer's thread probes and reopens it
// after 1 s, doubling to 60 s. A read that hangs for 2 s is answered with io and counts as such an
// error. See: segment.h (records), catalogue.h, docs/adr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/base/task.h"

namespace bw::edge {

// What is kept of an object beside its body. The tier reads key, canonical_key, generation and pos.
struct DiskRecord {
  Hash128 key;
  std::string canonical_key;  // compared on reading: a hash collision is a miss
  std::string meta;           // opaque: status, fields, validators, tags, times
  uint64_t pos = 0;           // no purge up to it has passed this object; read: as raised since
  uint64_t generation = 0;    // a write never replaces a record of a greater one
  int64_t expiry = 0;         // opaque
  uint64_t body_size = 0;     // set by reading; writing counts
};

// Which objects may take a disk that is 90 % full: all, or those that come for the second time.
enum class DiskAdmission : uint8_t { all, second_hit };

struct DiskOptions {
  std::string path;
  uint64_t size = 0;               // of all segments; least 64 MiB
  size_t memory = 64u << 20;       // of the catalogue
  size_t queue_bytes = 16u << 20;  // bodies waiting for the disk
  size_t readers = 4;
  DiskAdmission admission = DiskAdmission::all;
  Duration read_wait = std::chrono::milliseconds(50);  // in the queue; beyond it find() is a miss
  Duration first_retry = std::chrono::seconds(1);      // of reopening; doubles to 60 s
  // Seams for tests: asked before every operation that changes the disk or reads a segment; an
  // errno makes it fail.
  std::function<int()> write_fault;
  std::function<int()> read_fault;
};

enum class DiskState : uint8_t { off, ok, full, failed };
std::string_view to_text(DiskState state);

struct DiskCounters {
  uint64_t size = 0;     // bytes that segments may take
  uint64_t used = 0;     // bytes of records in live segments
  uint64_t objects = 0;  // findable
  uint64_t reads = 0;    // records found
  uint64_t misses = 0;
  uint64_t writes = 0;             // objects stored
  uint64_t refused = 0;            // writes not stored: disk-busy, too large, disk off
  uint64_t not_admitted = 0;       // writes that DiskAdmission::second_hit turned away
  uint64_t queued_bytes = 0;       // bodies waiting for the disk now
  uint64_t checksum_failures = 0;  // records or blocks that failed
  uint64_t evicted_segments = 0;
  uint64_t reopened = 0;  // times the tier came back
};

class DiskTier;

// An object that was found. Reads go on while segments are evicted: what is gone meanwhile answers
// not_found. Threads: any, one at a time.
class DiskObject {
 public:
  struct State;
  explicit DiskObject(std::shared_ptr<State> state);

  const DiskRecord& record() const;
  // Answers 1..length verified bytes from `offset`: short where a piece (1 MiB) ends. Needs offset
  // < body_size and length > 0. The tier must outlive the read.
  void read(uint64_t offset, size_t length, UniqueFunction<void(Result<Slice>)> done) const;

 private:
  std::shared_ptr<State> state_;
};

// One object on its way to the disk. Visible only once commit() has come through; dropped before:
// nothing is stored. Threads: one at a time. Lifetime: ends before its tier does.
class DiskWrite {
 public:
  struct State;
  explicit DiskWrite(std::unique_ptr<State> state);
  ~DiskWrite();
  DiskWrite(const DiskWrite&) = delete;
  DiskWrite& operator=(const DiskWrite&) = delete;

  // Never waits. Errors: busy (the queue is full: reason disk-busy), too_large, io; after one the
  // write is dead and the caller drops it.
  Status append(Slice piece);
  // `meta`, `pos`, `expiry` may have changed since begin_write (trailers, a purge seen). `done`
  // runs on the writer thread: ok once the object can be found. Kind exists: a greater generation
  // is there.
  void commit(UniqueFunction<void(Status)> done = {});
  DiskRecord& record();

 private:
  std::unique_ptr<State> state_;
};

class DiskTier {
 public:
  // Makes the directory, takes its lock, sets aside what a foreign version left, and waits at most
  // 2 s for the catalogue; later the tier joins by itself. `why` receives a line for people when
  // the directory cannot be used at all.
  static Result<std::unique_ptr<DiskTier>> open(DiskOptions options, Clock& clock,
                                                std::string* why);
  // Writes what is queued, then closes.
  ~DiskTier();
  DiskTier(const DiskTier&) = delete;
  DiskTier& operator=(const DiskTier&) = delete;

  // nullptr: refused; `why` says it by kind: io (disk off), too_large (expected_size over
  // max_object(), or key and meta), refused (not admitted).
  std::unique_ptr<DiskWrite> begin_write(DiskRecord record, uint64_t expected_size = 0,
                                         Error* why = nullptr);
  // Error of kind not_found is a miss; busy and io are misses with a reason.
  void find(const Hash128& key, std::string canonical_key,
            UniqueFunction<void(Result<DiskObject>)> done);
  // Both are queued behind earlier writes. raise_pos never lowers.
  void raise_pos(const Hash128& key, uint64_t generation, uint64_t pos);
  void erase(const Hash128& key, uint64_t generation);  // that generation or an older one
  // Runs `done` on the writer thread after all that was queued before.
  void flush(UniqueFunction<void()> done);

  uint64_t max_object() const;  // a quarter of `size`, at most 64 GiB
  DiskState state() const;
  std::string reason() const;  // of a state that isn't ok
  DiskCounters counters() const;

  struct Impl;

 private:
  explicit DiskTier(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bw::edge
