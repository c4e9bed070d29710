// The disk tier's catalogue: which object lies where, which segments live, in one database.
//
// Threads: find() from any that may block; open, close, write and segments from the writer only.
// Lifetime: open() and close() wait for finds under way. Errors: the database's; io while closed.
// Rows of objects whose segment is gone vanish when files are merged; find() doesn't answer them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/result.h"
#include "core/kv/db.h"
#include "edge/cache/segment.h"

namespace bw::edge {

// Changes of the catalogue that happen together or not at all.
class CatalogueBatch {
 public:
  void put(const Hash128& key, const ObjectRow& row);
  void erase(const Hash128& key);
  void put(const SegmentRow& row);
  void erase_segment(uint64_t sequence);
  void put_next_sequence(uint64_t sequence);
  void put_segment_size(uint64_t size);
  bool empty() const { return batch_.empty(); }

 private:
  friend class Catalogue;
  kv::Batch batch_;
};

class Catalogue {
 public:
  Catalogue(std::string path, size_t memory, std::function<int()> write_fault);
  ~Catalogue();

  // Closes first. Kinds: corrupt, no_space, busy, io; `why` receives a line for people.
  Status open(std::string* why);
  void close();

  Result<std::optional<ObjectRow>> find(const Hash128& key) const;
  Status write(const CatalogueBatch& batch);
  // What stopped the database, for people; empty: nothing did.
  std::string failure_text() const;

  struct Segments {
    std::vector<SegmentRow> rows;  // by sequence
    uint64_t next_sequence = 1;
    uint64_t segment_size = 0;  // 0: none yet
  };
  // Errors: corrupt when a row can't be read.
  Result<Segments> segments() const;
  // Objects with a piece in an older segment are gone.
  void set_oldest(uint64_t sequence) { oldest_.store(sequence, std::memory_order_release); }

 private:
  const std::string path_;
  const size_t memory_;
  const std::function<int()> write_fault_;
  std::atomic<uint64_t> oldest_{0};
  mutable std::shared_mutex mutex_;  // of db_ itself, not of its contents
  std::unique_ptr<kv::Db> db_;
};

}  // namespace bw::edge
