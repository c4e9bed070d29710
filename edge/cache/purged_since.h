// "Purged since": what was purged up to which position, asked lazily at each find.
//
// A table (site, kind, key) -> {hard, soft, local} beside a site entry per site. Way of a purge:
// follower -> apply() -> journal -> receipt. Threads: apply, forget and load by one writer at a
// time (locked inside); all else from any thread. Bounds: `budget` bytes of fine entries; beyond,
// old ones are forgotten, which raises their site's entry first: over-purging, never silence.
// See: docs/architecture.md "Ways"; edge/proxy/fill.h for what fills do with it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "edge/cache/cache_policy.h"
#include "edge/cache/key.h"
#include "edge/cache/object.h"
#include "edge/cache/position.h"

namespace bw::edge {

// site: everything of one site; all: everything of every site.
enum class PurgeKind : uint8_t { url, any_query, host, prefix, byte_prefix, tag, group, site, all };
enum class PurgeMode : uint8_t { hard, soft };

// One purge as this node's keys say it. key: of url, any_query, host; tag: {0, tag_hash}; group:
// {0, group_hash}. With KeyRules::host = false all hosts share: key and host are those of "".
struct Purge {
  uint32_t site = 0;                 // ignored by kind all
  PurgeKind kind = PurgeKind::site;  // unknown kinds of the log: site, soft
  PurgeMode mode = PurgeMode::hard;
  Hash128 key;
  std::string host;  // of a prefix; empty: every host of the site
  std::string path;  // of a prefix, normalised as keys are
  Position position = 0;
};

struct Marks {
  Position hard = 0;
  Position soft = 0;
  uint64_t local = 0;
  Position newest() const { return hard > soft ? hard : soft; }
  friend bool operator==(const Marks&, const Marks&) = default;
};

// What a find or a fetch reads of a site, in this order: applied, last_seq, last_local.
struct Seen {
  Position applied = 0;
  Position last_seq = 0;
  uint64_t last_local = 0;
};

enum class PurgeVerdict : uint8_t { fresh, soft, purged };

// Entries that changed, with their new marks: what a journal makes durable in one batch. What the
// log says and what is local have keys of their own, as they are written by different threads.
struct PurgeChanges {
  struct Entry {
    std::string key;  // bytes; load() takes them back
    Marks marks;      // local: only that; else without it
    bool local = false;
    bool forgotten = false;  // goes, unless the journal knows newer marks of it
  };
  struct Site {
    uint32_t site = 0;
    Marks marks;  // the site entry
    Position last_seq = 0;
    std::string name;  // what a journal knows it by; load() goes by it
  };
  std::vector<Entry> entries;
  std::vector<Site> sites;
  Position position = 0;  // 0: as it was

  bool empty() const { return entries.empty() && sites.empty() && position == 0; }
};

class PurgedSince {
 public:
  explicit PurgedSince(size_t budget);
  ~PurgedSince();
  PurgedSince(const PurgedSince&) = delete;
  PurgedSince& operator=(const PurgedSince&) = delete;

  // --- start: before it every find is a miss. What these answer is for the journal too.
  // Each site, also one that is only in the log, before the first purge of it.
  // A site begins at `applied`: what is older counts as purged. Before start() it is only named.
  // Once more for the same site: nothing. Its name makes journal keys independent of ids.
  PurgeChanges add_site(uint32_t site, std::string_view name);
  // Without a purge service: ready at once.
  void start_without_log();
  // Memory only, or off the log's history: all sites begin at this position, also while running.
  PurgeChanges start_at(Position digest);
  // From a journal, after add_site() of all sites; sites that it doesn't know begin at its
  // position. Position 0 (nothing was ever applied) takes marks, but doesn't start.
  PurgeChanges load(const PurgeChanges& loaded);
  bool started() const { return started_.load(std::memory_order_acquire); }

  // --- the follower's side
  // 1. entries, 2. last_seq (release), 3. applied (release). The caller then does 4. journal and
  // 5. receipt. `position`: of the last record of the batch.
  PurgeChanges apply(std::span<const Purge> purges, Position position);
  // The whole table, for a journal that begins anew. `position`: what was applied.
  PurgeChanges snapshot() const;
  // The last echo: when the nonce that came back was sent. See lag().
  void set_echo(MonoTime sent);
  // With a log: now - the last echo, the longest time before the first; without: zero.
  Duration lag(MonoTime now) const;

  // --- unsafe methods, written before the response head is passed on; for apply_later() of the
  // journal. `boot` << 40 is set once, at start.
  void set_boot(uint64_t boot);
  PurgeChanges invalidate_local(uint32_t site, const Hash128& url);

  // --- the request's side
  Position applied() const { return applied_.load(std::memory_order_acquire); }
  Seen read(uint32_t site) const;
  // `seen` must have been read before the object was looked at. Raises its pos when fresh.
  PurgeVerdict find(const Seen& seen, const Object& object) const;
  // All marks that could concern these keys: fine, then all, then the site.
  Marks newest(const PurgeKeys& keys) const;

  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Site;
  struct Table;
  Site* site(uint32_t id) const;
  Site& make_site(uint32_t id, std::string_view name);
  Marks raise_entry(Site& to, const Purge& purge, const Marks& marks);
  void raise_fine(const Purge& purge, const Marks& marks, PurgeChanges& changes);
  enum class Whose : uint8_t { all, local };
  void forget_over_budget(Whose whose, PurgeChanges& changes);
  bool forget_of(Site& from, Whose whose, PurgeChanges& changes);

  const size_t budget_;
  std::unique_ptr<Table> table_;
  mutable std::mutex writer_;  // apply, start, load, add_site, forgetting
  std::mutex local_writer_;    // invalidate_local: its entry, then last_local; taken before writer_
  std::atomic<bool> started_{false};
  std::atomic<bool> has_log_{true};
  std::atomic<Position> applied_{0};
  std::atomic<int64_t> echo_ns_{0};
  std::atomic<uint64_t> next_local_{1};
  std::atomic<size_t> bytes_{0};
};

// --- "Ordering across tiers", as arithmetic.

// A fetch's start; read before its first byte is sent, kept by retries and hedges.
struct FillStart {
  Position start = 0;  // max(applied, N)
  uint64_t local = 0;  // site.last_local
  Position need = 0;   // max(site.last_seq, N): what Breakwater-Purge-Seq asks of a shield
};
inline FillStart fill_start(const Seen& seen, Position reader_need) {
  return {seen.applied > reader_need ? seen.applied : reader_need, seen.last_local,
          seen.last_seq > reader_need ? seen.last_seq : reader_need};
}
// fill.pos, once the answer's position is known (from an origin: start itself).
inline Position fill_pos(const FillStart& fill, Position answer) {
  return answer < fill.start ? answer : fill.start;
}
// May a reader with tier need N join a fill whose head hasn't come? `known`: newest(keys) now.
inline bool may_join(const FillStart& fill, Position reader_need, const Marks& known) {
  return reader_need <= fill.start && known.newest() <= fill.start && known.local <= fill.local;
}
// Once headers are there also this, with the response's tags in `known`.
inline bool may_join_head(const FillStart& fill, Position pos, Position reader_need,
                          const Marks& known) {
  return may_join(fill, reader_need, known) && reader_need <= pos && known.newest() <= pos;
}
// What a reader remembers: joined = max(applied, N).
inline Position joined(Position applied, Position reader_need) {
  return applied > reader_need ? applied : reader_need;
}
// At headers, before a reader's first byte and at commit: was the fill overtaken?
inline bool overtaken(const FillStart& fill, Position pos, const Marks& known) {
  return known.newest() > pos || known.local > fill.local;
}
// Must this reader be detached, to fetch anew with N = joined? `stale` answers (Breakwater-Stale)
// are checked against hard purges only.
inline bool must_detach(const FillStart& fill, Position pos, Position reader_need,
                        Position reader_joined, const Marks& known, bool stale = false) {
  if (reader_need > pos) return true;
  const Position newest = stale ? known.hard : known.newest();
  return (newest > pos || known.local > fill.local) && reader_joined > pos;
}

}  // namespace bw::edge
