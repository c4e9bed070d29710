// The purged-since table on disk: every applied purge is one synced batch of its entries, its
// site's marks and the position, so that an acknowledged position is never ahead of the table.
//
// Threads: any that may block (never a loop); one writer at a time. Errors: after the first failed
// apply() all later ones fail; open anew.
// See: edge/cache/disk_tier.h for the bodies; core/kv/db.h for what a crash leaves.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace bw::kv {
class Db;
}

namespace bw::edge {

// Newest hard and soft purge of one key; 0: none.
struct PurgeMark {
  uint64_t hard = 0;
  uint64_t soft = 0;
  friend bool operator==(const PurgeMark&, const PurgeMark&) = default;
};

// How far the log was applied.
struct PurgePosition {
  uint64_t position = 0;
  std::array<uint8_t, 16> chain{};
  friend bool operator==(const PurgePosition&, const PurgePosition&) = default;
};

class PurgeJournal {
 public:
  struct Entry {
    std::string key;  // bytes the table chose
    PurgeMark mark;
  };
  struct Site {
    std::string name;
    PurgeMark mark;  // the site entry
    uint64_t last_seq = 0;
  };
  // What one apply() makes durable together. Marks replace what was there.
  struct Changes {
    std::vector<Entry> entries;
    std::vector<Site> sites;
    std::vector<std::string> forgotten;  // keys whose entries go
    std::optional<PurgePosition> position;
  };
  struct Loaded {
    std::vector<Site> sites;
    std::optional<PurgePosition> position;  // nullopt: nothing was ever applied
    uint64_t boot = 0;                      // one more at each open, synced: upper bits of `local`
  };

  // `path` is made when missing. `why` receives a line for people on failure.
  static Result<std::unique_ptr<PurgeJournal>> open(const std::string& path, std::string* why);
  ~PurgeJournal();

  // As found at open(): sites and position, all a node needs before its first lookup.
  const Loaded& loaded() const { return loaded_; }
  Result<std::vector<Entry>> load_entries() const;
  Result<std::optional<PurgeMark>> find(std::string_view key) const;
  // Returns when it is on the disk.
  Status apply(const Changes& changes);
  // Forgets all: the table isn't on the log's history. The boot number stays.
  Status clear();

 private:
  explicit PurgeJournal(std::unique_ptr<kv::Db> db);
  std::unique_ptr<kv::Db> db_;
  Loaded loaded_;
};

}  // namespace bw::edge
