// The purged-since table on disk: every applied purge is one synced batch of its entries, its
// site's marks and the position, so that an acknowledged position is never ahead of the table.
//
// Threads: any that may block (never a loop); locked inside. Errors: after the first failed
// apply() all later ones fail, until replace() has opened it anew and written the whole table.
// See: purged_since.h for the table itself; core/kv/db.h for what a crash leaves.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "edge/cache/purged_since.h"

namespace bw::kv {
class Batch;
class Db;
}  // namespace bw::kv

namespace bw::edge {

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
    Marks mark;
  };
  struct Site {
    std::string name;
    Marks mark;  // the site entry
    uint64_t last_seq = 0;
  };
  // What one apply() makes durable together. Marks of entries replace what was there, those of
  // sites only rise.
  struct Changes {
    std::vector<Entry> entries;
    std::vector<Site> sites;
    std::vector<std::string> forgotten;  // keys whose entries go
    std::vector<Entry> forgotten_local;  // likewise, unless a greater `local` is there
    std::optional<PurgePosition> position;
  };
  struct Loaded {
    std::vector<Site> sites;
    std::optional<PurgePosition> position;  // nullopt: nothing was ever applied
    uint64_t boot = 0;                      // more at each open, synced: upper bits of `local`
  };

  // The least boot number of a process that starts now: a step a minute, so that a journal that was
  // lost doesn't turn it back; within 24 bits.
  static uint64_t first_boot_at(WallTime now);
  // `path` is made when missing; what is damaged or foreign there is set aside, and the journal
  // begins anew. `first_boot`: see above. `why` receives a line for people on failure. Kinds: busy,
  // no_space, io. `write_fault`: as kv::Options.
  static Result<std::unique_ptr<PurgeJournal>> open(const std::string& path, std::string* why,
                                                    uint64_t first_boot = 1,
                                                    std::function<int()> write_fault = {});
  // For a disk that can't be used now: nothing is loaded, all fails until replace() works.
  static std::unique_ptr<PurgeJournal> open_later(const std::string& path, uint64_t first_boot);
  ~PurgeJournal();

  bool opened() const { return db_ != nullptr; }
  // As found at open(): sites and position, all a node needs before its first lookup.
  const Loaded& loaded() const { return loaded_; }
  Result<std::vector<Entry>> load_entries() const;
  Result<std::optional<Marks>> find(std::string_view key) const;
  // Returns when it is on the disk.
  Status apply(const Changes& changes);
  // The same without waiting for the disk: local invalidations.
  Status apply_later(const Changes& changes);

  // What PurgedSince::load() takes, entries included.
  Result<PurgeChanges> load_table() const;
  // What a PurgedSince answered, as apply() takes it. `chain` is that of changes.position.
  static Changes changes_of(const PurgeChanges& changes, const std::array<uint8_t, 16>& chain);
  // Forgets all: the table isn't on the log's history. The boot number stays.
  Status clear();
  // Opens it anew if it failed, and puts `all` in the place of what is there, in one batch.
  Status replace(const Changes& all);

 private:
  PurgeJournal(std::string path, std::function<int()> write_fault);
  Status open_db(std::string* why);
  Status read(uint64_t first_boot, std::string* why);
  Status write(const Changes& changes, bool sync);
  Status add(kv::Batch& batch, const Changes& changes);
  Status erase_all(kv::Batch& batch) const;

  const std::string path_;
  const std::function<int()> write_fault_;
  std::unique_ptr<kv::Db> db_;  // null: it couldn't be opened
  Loaded loaded_;
  std::mutex mutex_;  // of a write, with what it read before
  std::map<std::string, Site, std::less<>> sites_;
};

}  // namespace bw::edge
