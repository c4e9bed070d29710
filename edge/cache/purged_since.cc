#include "edge/cache/purged_since.h"

#include <algorithm>
#include <cstring>

#include "edge/cache/purge_table.h"

namespace bw::edge {
namespace {

// Atomics of marks only rise.
template <typename T>
void raise(std::atomic<T>& to, T value) {
  T had = to.load(std::memory_order_relaxed);
  while (had < value && !to.compare_exchange_weak(had, value, std::memory_order_release,
                                                  std::memory_order_relaxed)) {
  }
}

bool is_prefix(PurgeKind kind) {
  return kind == PurgeKind::prefix || kind == PurgeKind::byte_prefix;
}

}  // namespace

// Marks of a whole site, or of all: read without locks.
struct AtomicMarks {
  std::atomic<Position> hard{0};
  std::atomic<Position> soft{0};
  std::atomic<uint64_t> local{0};

  void rise(const Marks& marks) {
    raise(hard, marks.hard);
    raise(soft, marks.soft);
    raise(local, marks.local);
  }
  Marks load() const {
    return {hard.load(std::memory_order_acquire), soft.load(std::memory_order_acquire),
            local.load(std::memory_order_acquire)};
  }
};

struct PurgedSince::Site {
  uint32_t id = 0;
  std::string name;  // set while nobody else knows the site, or by the one writer
  uint64_t name_hash = 0;
  AtomicMarks marks;
  std::atomic<Position> last_seq{0};
  std::atomic<uint64_t> last_local{0};
  std::atomic<size_t> bytes{0};  // of its fine entries
  PrefixTable prefixes;

  PurgeChanges::Site change() const {
    return {id, marks.load(), last_seq.load(std::memory_order_relaxed), name};
  }
};

struct PurgedSince::Table {
  std::array<std::atomic<Site*>, kMaxSites> sites{};
  std::vector<std::unique_ptr<Site>> owned;  // of the writer
  AtomicMarks all;
  FineTable fine;
};

namespace {

constexpr uint8_t kLocalKind = 0x80;

// Journal keys: 8 bytes of the site's name, the kind, then 16 bytes of a key or host, '\n', path.
std::string journal_key(uint64_t site, PurgeKind kind, const Hash128& key) {
  std::string out(25, '\0');
  std::memcpy(out.data(), &site, 8);
  out[8] = static_cast<char>(kind);
  std::memcpy(out.data() + 9, &key.hi, 8);
  std::memcpy(out.data() + 17, &key.lo, 8);
  return out;
}

std::string journal_key(uint64_t site, PurgeKind kind, std::string_view host,
                        std::string_view path) {
  std::string out(9, '\0');
  std::memcpy(out.data(), &site, 8);
  out[8] = static_cast<char>(kind);
  out += host;
  out += '\n';
  out += path;
  return out;
}

constexpr std::string_view kAllKey = "*";

void add_change(PurgeChanges& changes, std::string key, const Marks& marks, bool forgotten) {
  if (marks.newest() != 0)
    changes.entries.push_back({key, {marks.hard, marks.soft, 0}, false, forgotten});
  if (marks.local == 0) return;
  key[8] = static_cast<char>(static_cast<uint8_t>(key[8]) | kLocalKind);
  changes.entries.push_back({std::move(key), {0, 0, marks.local}, true, forgotten});
}

}  // namespace

PurgedSince::PurgedSince(size_t budget) : budget_(budget), table_(std::make_unique<Table>()) {}
PurgedSince::~PurgedSince() = default;

PurgedSince::Site* PurgedSince::site(uint32_t id) const {
  return id < kMaxSites ? table_->sites[id].load(std::memory_order_acquire) : nullptr;
}

PurgedSince::Site& PurgedSince::make_site(uint32_t id, std::string_view name) {
  BW_CHECK(id < kMaxSites);
  if (Site* found = site(id)) return *found;
  auto made = std::make_unique<Site>();
  made->id = id;
  made->name = name.empty() ? "#" + std::to_string(id) : std::string(name);
  made->name_hash = xxh3_64(made->name);
  // Whatever is older than what this site could have been told counts as purged.
  const Position applied = applied_.load(std::memory_order_relaxed);
  Marks marks = table_->all.load();
  merge(marks, {applied, applied, 0});
  made->marks.rise(marks);
  made->last_seq.store(marks.newest(), std::memory_order_relaxed);
  Site& ref = *made;
  table_->owned.push_back(std::move(made));
  table_->sites[id].store(&ref, std::memory_order_release);
  return ref;
}

PurgeChanges PurgedSince::add_site(uint32_t id, std::string_view name) {
  const std::lock_guard lock(writer_);
  PurgeChanges changes;
  if (site(id) != nullptr) return changes;
  changes.sites.push_back(make_site(id, name).change());
  return changes;
}

void PurgedSince::start_without_log() {
  has_log_.store(false, std::memory_order_relaxed);
  started_.store(true, std::memory_order_release);
}

PurgeChanges PurgedSince::start_at(Position digest) {
  const std::lock_guard lock(writer_);
  PurgeChanges changes;
  for (const auto& one : table_->owned) {
    one->marks.rise({digest, digest, 0});
    raise(one->last_seq, digest);
    changes.sites.push_back(one->change());
  }
  raise(applied_, digest);
  changes.position = digest;
  started_.store(true, std::memory_order_release);
  return changes;
}

PurgeChanges PurgedSince::load(const PurgeChanges& loaded) {
  const std::lock_guard lock(writer_);
  std::unordered_map<uint64_t, Site*> by_name;
  for (const auto& one : table_->owned) by_name[one->name_hash] = one.get();
  std::unordered_map<uint64_t, bool> known;
  Position greatest = loaded.position;
  uint64_t local = 0;

  for (const PurgeChanges::Site& from : loaded.sites) {
    const auto found = by_name.find(xxh3_64(from.name));
    if (found == by_name.end()) continue;
    known[found->first] = true;
    found->second->marks.rise(from.marks);
    raise(found->second->last_seq, std::max(from.last_seq, from.marks.newest()));
    raise(found->second->last_local, from.marks.local);
    local = std::max(local, from.marks.local);
  }
  PurgeChanges unused;
  for (const PurgeChanges::Entry& entry : loaded.entries) {
    local = std::max(local, entry.marks.local);
    if (entry.key == kAllKey) {
      table_->all.rise(entry.marks);
      for (const auto& one : table_->owned) raise(one->last_seq, entry.marks.newest());
      continue;
    }
    if (entry.key.size() < 9) continue;
    uint64_t name = 0;
    std::memcpy(&name, entry.key.data(), 8);
    const auto found = by_name.find(name);
    if (found == by_name.end()) continue;
    Site& to = *found->second;
    const std::string_view rest = std::string_view(entry.key).substr(9);
    Purge fine;
    fine.kind = static_cast<PurgeKind>(static_cast<uint8_t>(entry.key[8]) & ~kLocalKind);
    if (is_prefix(fine.kind)) {
      const size_t end = rest.find('\n');
      if (end == std::string_view::npos) continue;
      fine.host = rest.substr(0, end);
      fine.path = rest.substr(end + 1);
    } else {
      if (rest.size() != 16) continue;
      std::memcpy(&fine.key.hi, rest.data(), 8);
      std::memcpy(&fine.key.lo, rest.data() + 8, 8);
    }
    raise_entry(to, fine, entry.marks);
    raise(to.last_seq, entry.marks.newest());
    raise(to.last_local, entry.marks.local);
  }

  PurgeChanges changes;
  for (const auto& one : table_->owned) {
    if (known.count(one->name_hash) > 0) continue;
    one->marks.rise({greatest, greatest, 0});
    raise(one->last_seq, greatest);
    changes.sites.push_back(one->change());
  }
  raise(next_local_, local + 1);
  raise(applied_, loaded.position);
  forget_over_budget(Whose::all, changes);
  if (loaded.position != 0) started_.store(true, std::memory_order_release);
  return changes;
}

// The bytes are counted before the entry is there and taken off after it has gone: a count of 0
// says that there is none.
Marks PurgedSince::raise_entry(Site& to, const Purge& purge, const Marks& marks) {
  const bool prefix = is_prefix(purge.kind);
  const size_t cost =
      prefix ? PrefixTable::cost(purge.host, purge.path) : size_t{FineTable::kEntryBytes};
  to.bytes.fetch_add(cost, std::memory_order_relaxed);
  bytes_.fetch_add(cost, std::memory_order_relaxed);
  Marks now;
  const bool made = prefix ? to.prefixes.raise(purge.host, purge.path,
                                               purge.kind == PurgeKind::byte_prefix, marks, now)
                           : table_->fine.raise({to.id, purge.kind, purge.key}, marks, now);
  if (!made) {
    to.bytes.fetch_sub(cost, std::memory_order_release);
    bytes_.fetch_sub(cost, std::memory_order_relaxed);
  }
  return now;
}

void PurgedSince::raise_fine(const Purge& purge, const Marks& marks, PurgeChanges& changes) {
  Site& to = make_site(purge.site, {});
  if (purge.kind == PurgeKind::site) {
    to.marks.rise(marks);
    return;
  }
  if (purge.kind == PurgeKind::group) {
    // A group is a tag whose hash names its origin: objects carry both in one list.
    Purge tag = purge;
    tag.kind = PurgeKind::tag;
    raise_fine(tag, marks, changes);
    return;
  }
  Marks now = raise_entry(to, purge, marks);
  // Each side tells its own: the other's numbers may be older than what it wrote meanwhile.
  now = marks.local == 0 ? Marks{now.hard, now.soft, 0} : Marks{0, 0, now.local};
  add_change(changes,
             is_prefix(purge.kind) ? journal_key(to.name_hash, purge.kind, purge.host, purge.path)
                                   : journal_key(to.name_hash, purge.kind, purge.key),
             now, false);
}

PurgeChanges PurgedSince::apply(std::span<const Purge> purges, Position position) {
  const std::lock_guard lock(writer_);
  PurgeChanges changes;
  changes.position = position;
  // 1. entries
  for (const Purge& purge : purges) {
    Marks marks;
    (purge.mode == PurgeMode::hard ? marks.hard : marks.soft) = purge.position;
    if (purge.kind == PurgeKind::all) {
      table_->all.rise(marks);
      changes.entries.push_back({std::string(kAllKey), table_->all.load(), false, false});
    } else {
      raise_fine(purge, marks, changes);
    }
  }
  // 2. last_seq: who reads it finds the entries
  std::vector<Site*> touched;
  for (const Purge& purge : purges) {
    const auto rise = [&](Site& to) {
      raise(to.last_seq, purge.position);
      touched.push_back(&to);
    };
    if (purge.kind == PurgeKind::all) {
      for (const auto& one : table_->owned) rise(*one);
    } else {
      rise(*site(purge.site));
    }
  }
  // 3. applied: who reads it finds both
  raise(applied_, position);

  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const Site* one : touched) changes.sites.push_back(one->change());
  forget_over_budget(Whose::all, changes);
  return changes;
}

void PurgedSince::forget_over_budget(Whose whose, PurgeChanges& changes) {
  while (bytes() > budget_) {
    // Of the site that takes most, so that one site's purges don't cost the others their objects.
    Site* greatest = nullptr;
    for (const auto& one : table_->owned) {
      if (greatest == nullptr || one->bytes.load(std::memory_order_relaxed) >
                                     greatest->bytes.load(std::memory_order_relaxed)) {
        greatest = one.get();
      }
    }
    if (greatest == nullptr || greatest->bytes.load(std::memory_order_relaxed) == 0) return;
    if (!forget_of(*greatest, whose, changes)) return;
  }
}

// Drops the older half of a site's fine entries. Forgetting is a purge: the site entry rises first.
bool PurgedSince::forget_of(Site& from, Whose whose, PurgeChanges& changes) {
  std::vector<FineTable::Listed> fine = table_->fine.list(from.id);
  std::vector<PrefixTable::Listed> prefixes = from.prefixes.list();
  if (whose == Whose::local) {
    std::erase_if(fine, [](const auto& one) { return one.marks.newest() != 0; });
    prefixes.clear();
  }
  const auto age = [whose](const auto& one) {
    return whose == Whose::local ? one.marks.local : one.marks.newest();
  };
  std::vector<uint64_t> ages;
  ages.reserve(fine.size() + prefixes.size());
  for (const auto& one : fine) ages.push_back(age(one));
  for (const auto& one : prefixes) ages.push_back(age(one));
  if (ages.empty()) return false;
  const auto middle = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / 2);
  std::nth_element(ages.begin(), middle, ages.end());
  std::erase_if(fine, [&](const auto& one) { return age(one) > *middle; });
  std::erase_if(prefixes, [&](const auto& one) { return age(one) > *middle; });

  Marks marks;
  for (const auto& one : fine) merge(marks, one.marks);
  for (const auto& one : prefixes) merge(marks, one.marks);
  from.marks.rise(marks);
  raise(from.last_seq, marks.newest());
  raise(from.last_local, marks.local);
  changes.sites.push_back(from.change());

  size_t freed = 0;
  for (const auto& one : fine) {
    const size_t size = table_->fine.erase(one.key, one.marks);
    if (size == 0) continue;  // it rose meanwhile
    freed += size;
    add_change(changes, journal_key(from.name_hash, one.key.kind, one.key.key), one.marks, true);
  }
  for (const auto& one : prefixes) {
    const size_t size = from.prefixes.erase(one);
    if (size == 0) continue;
    freed += size;
    const PurgeKind kind = one.bytes ? PurgeKind::byte_prefix : PurgeKind::prefix;
    add_change(changes, journal_key(from.name_hash, kind, one.host, one.path), one.marks, true);
  }
  from.bytes.fetch_sub(freed, std::memory_order_release);
  bytes_.fetch_sub(freed, std::memory_order_relaxed);
  return freed > 0;
}

PurgeChanges PurgedSince::snapshot() const {
  const std::lock_guard lock(writer_);
  PurgeChanges changes;
  changes.position = applied_.load(std::memory_order_relaxed);
  if (const Marks all = table_->all.load(); !(all == Marks())) {
    changes.entries.push_back({std::string(kAllKey), all, false, false});
  }
  for (const FineTable::Listed& one : table_->fine.list_all()) {
    const Site* of = site(one.key.site);
    add_change(changes, journal_key(of->name_hash, one.key.kind, one.key.key), one.marks, false);
  }
  for (const auto& from : table_->owned) {
    for (const PrefixTable::Listed& one : from->prefixes.list()) {
      const PurgeKind kind = one.bytes ? PurgeKind::byte_prefix : PurgeKind::prefix;
      add_change(changes, journal_key(from->name_hash, kind, one.host, one.path), one.marks, false);
    }
    // After its entries: what was forgotten between is in its marks.
    changes.sites.push_back(from->change());
  }
  return changes;
}

void PurgedSince::set_echo(MonoTime sent) {
  int64_t had = echo_ns_.load(std::memory_order_relaxed);
  while (had < sent.ns && !echo_ns_.compare_exchange_weak(had, sent.ns)) {
  }
}

Duration PurgedSince::lag(MonoTime now) const {
  if (!has_log_.load(std::memory_order_relaxed)) return Duration::zero();
  const int64_t echo = echo_ns_.load(std::memory_order_acquire);
  if (echo == 0) return Duration::max();
  return Duration(std::max<int64_t>(now.ns - echo, 0));
}

void PurgedSince::set_boot(uint64_t boot) { raise(next_local_, (boot << 40) | 1); }

PurgeChanges PurgedSince::invalidate_local(uint32_t id, const Hash128& url) {
  // Its own lock: a loop doesn't wait for a long batch of the log.
  const std::lock_guard lock(local_writer_);
  PurgeChanges changes;
  if (site(id) == nullptr) {
    const std::lock_guard writer(writer_);
    make_site(id, {});
  }
  const uint64_t local = next_local_.fetch_add(1, std::memory_order_relaxed);
  Purge purge;
  purge.site = id;
  purge.kind = PurgeKind::url;
  purge.key = url;
  raise_fine(purge, {0, 0, local}, changes);
  raise(site(id)->last_local, local);
  if (bytes() > budget_) {
    // Only what is local goes: entries of the log are written by its follower alone.
    const std::lock_guard writer(writer_);
    Site& to = *site(id);
    if (!forget_of(to, Whose::local, changes)) forget_over_budget(Whose::local, changes);
  }
  return changes;
}

Seen PurgedSince::read(uint32_t id) const {
  Seen seen;
  seen.applied = applied_.load(std::memory_order_acquire);
  if (const Site* one = site(id)) {
    seen.last_seq = one->last_seq.load(std::memory_order_acquire);
    seen.last_local = one->last_local.load(std::memory_order_acquire);
  }
  return seen;
}

PurgeVerdict PurgedSince::find(const Seen& seen, const Object& object) const {
  if (!started()) return PurgeVerdict::purged;
  const Position pos = object.pos();
  const uint64_t local = object.local();
  if (pos >= seen.last_seq && local >= seen.last_local) return PurgeVerdict::fresh;
  if (site(object.meta().key.site) == nullptr) return PurgeVerdict::purged;
  const Marks marks = newest(object.purge_keys());
  if (marks.hard > pos || marks.local > local) return PurgeVerdict::purged;
  if (marks.soft > pos) return PurgeVerdict::soft;
  object.raise(seen.last_seq, seen.last_local);
  return PurgeVerdict::fresh;
}

Marks PurgedSince::newest(const PurgeKeys& keys) const {
  Marks marks;
  const Site* from = site(keys.site);
  // Fine before coarse: forgetting writes coarse before it drops fine.
  if (from != nullptr && from->bytes.load(std::memory_order_acquire) > 0) {
    const FineTable& fine = table_->fine;
    merge(marks, fine.find({keys.site, PurgeKind::url, keys.url}));
    merge(marks, fine.find({keys.site, PurgeKind::any_query, keys.url_any_query}));
    merge(marks, fine.find({keys.site, PurgeKind::host, keys.host}));
    for (const uint64_t tag : keys.tags) {
      merge(marks, fine.find({keys.site, PurgeKind::tag, {0, tag}}));
    }
    merge(marks, from->prefixes.find(keys.host_text, keys.path));
  }
  merge(marks, table_->all.load());
  if (from != nullptr) merge(marks, from->marks.load());
  return marks;
}

}  // namespace bw::edge
