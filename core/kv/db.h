// An ordered map of bytes to bytes on disk that survives a crash: RocksDB behind our type.
//
// Threads: any that may block; a loop never (CHECK). Bounds: `memory` holds block cache, filters
// and memtables together; the log that a start replays is at most 16 MiB. Errors: the first error
// of the write side latches the database as if power had gone: nothing touches the disk after it,
// every later write is refused, and only a new open() helps. A full disk never aborts the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace bw::kv {

// A key space of its own inside a database; addressed by its index in Options::spaces.
struct Space {
  std::string name;
  // Entries for which this answers true vanish whenever files are merged; called on RocksDB's
  // threads. Empty: all stay. Readers must know such entries themselves until then.
  std::function<bool(std::string_view key, std::string_view value)> droppable;
};

struct Options {
  std::string path;  // made when missing; its parent must exist
  std::vector<Space> spaces;
  size_t memory = 64u << 20;
  // A seam for tests: asked before every operation that changes the disk; an errno makes it fail.
  std::function<int()> write_fault;
};

// Changes that happen together or not at all.
class Batch {
 public:
  void put(size_t space, std::string_view key, std::string_view value);
  void erase(size_t space, std::string_view key);
  void clear() { changes_.clear(); }
  bool empty() const { return changes_.empty(); }
  size_t size() const { return changes_.size(); }

 private:
  friend class Db;
  struct Change {
    size_t space;
    bool erase;
    std::string key;
    std::string value;
  };
  std::vector<Change> changes_;
};

// later: survives a crash of the process at once, of the machine soon. now: of both at once.
enum class Sync : uint8_t { later, now };

class Db {
 public:
  // `why` receives a line for people on failure. Kinds: corrupt, no_space, busy (another process
  // has it open), io.
  static Result<std::unique_ptr<Db>> open(Options options, std::string* why);
  ~Db();
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;

  Result<std::optional<std::string>> get(size_t space, std::string_view key) const;
  Status write(const Batch& batch, Sync sync);
  // Visits keys in [from, to) in order; an empty `to` is the end. Stops when `visit` answers false.
  Status scan(size_t space, std::string_view from, std::string_view to,
              const std::function<bool(std::string_view key, std::string_view value)>& visit) const;
  // The last entry of a space.
  Result<std::optional<std::pair<std::string, std::string>>> last(size_t space) const;

  // Whether the latch fell, and why.
  bool failed() const;
  Error failure() const;
  std::string failure_text() const;

 private:
  struct State;
  explicit Db(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bw::kv
