#include "edge/cache/purge_journal.h"

#include <algorithm>
#include <cstring>

#include "core/kv/db.h"

namespace bw::edge {
namespace {

enum Space : size_t { kEntries, kSites, kMeta };
constexpr std::string_view kPosition = "position";
constexpr std::string_view kBoot = "boot";
constexpr std::string_view kFormat = "format";
constexpr std::string_view kThisFormat = "purge-journal 1";

std::string numbers(std::initializer_list<uint64_t> values) {
  std::string out;
  for (const uint64_t value : values) {
    char bytes[8];
    std::memcpy(bytes, &value, 8);
    out.append(bytes, 8);
  }
  return out;
}

uint64_t number_at(std::string_view bytes, size_t index) {
  uint64_t value = 0;
  if (bytes.size() >= index * 8 + 8) std::memcpy(&value, bytes.data() + index * 8, 8);
  return value;
}

Marks marks_at(std::string_view bytes) {
  return {number_at(bytes, 0), number_at(bytes, 1), number_at(bytes, 2)};
}

Error corrupt(std::string_view text) {
  return Error{.kind = Error::Kind::corrupt, .side = Error::Side::storage, .text = text};
}

}  // namespace

PurgeJournal::PurgeJournal(std::unique_ptr<kv::Db> db) : db_(std::move(db)) {}
PurgeJournal::~PurgeJournal() = default;

Result<std::unique_ptr<PurgeJournal>> PurgeJournal::open(const std::string& path,
                                                         std::string* why) {
  kv::Options options;
  options.path = path;
  options.spaces = {{.name = "entries", .droppable = {}},
                    {.name = "sites", .droppable = {}},
                    {.name = "meta", .droppable = {}}};
  options.memory = 16u << 20;
  auto db = kv::Db::open(std::move(options), why);
  if (!db.ok()) return db.error();
  std::unique_ptr<PurgeJournal> journal(new PurgeJournal(std::move(*db)));

  const auto format = journal->db_->get(kMeta, kFormat);
  if (!format.ok()) return format.error();
  if (format->has_value() && **format != kThisFormat) {
    if (why != nullptr)
      *why = path + ": format '" + **format + "' is not ours, '" + std::string(kThisFormat) + "'";
    return Error{.kind = Error::Kind::unsupported,
                 .side = Error::Side::storage,
                 .text = "foreign format of the purge journal"};
  }
  const auto boot = journal->db_->get(kMeta, kBoot);
  if (!boot.ok()) return boot.error();
  const auto position = journal->db_->get(kMeta, kPosition);
  if (!position.ok()) return position.error();

  Loaded& loaded = journal->loaded_;
  loaded.boot = (boot->has_value() ? number_at(**boot, 0) : 0) + 1;
  if (position->has_value()) {
    if ((*position)->size() != 24) return corrupt("position of the purge journal");
    PurgePosition& at = loaded.position.emplace();
    at.position = number_at(**position, 0);
    std::memcpy(at.chain.data(), (*position)->data() + 8, at.chain.size());
  }
  bool whole = true;
  const Status scanned =
      journal->db_->scan(kSites, "", "", [&](std::string_view name, std::string_view value) {
        whole = value.size() == 32;
        if (!whole) return false;
        loaded.sites.push_back(
            {.name = std::string(name), .mark = marks_at(value), .last_seq = number_at(value, 3)});
        return true;
      });
  if (!scanned.ok()) return scanned.error();
  if (!whole) return corrupt("site of the purge journal");
  for (const Site& site : loaded.sites) journal->sites_.emplace(site.name, site);

  kv::Batch batch;
  batch.put(kMeta, kFormat, kThisFormat);
  batch.put(kMeta, kBoot, numbers({loaded.boot}));
  if (const Status written = journal->db_->write(batch, kv::Sync::now); !written.ok()) {
    if (why != nullptr) *why = path + ": " + journal->db_->failure_text();
    return written.error();
  }
  return journal;
}

Result<std::vector<PurgeJournal::Entry>> PurgeJournal::load_entries() const {
  std::vector<Entry> entries;
  bool whole = true;
  const Status scanned =
      db_->scan(kEntries, "", "", [&](std::string_view key, std::string_view value) {
        whole = value.size() == 24;
        if (!whole) return false;
        entries.push_back({.key = std::string(key), .mark = marks_at(value)});
        return true;
      });
  if (!scanned.ok()) return scanned.error();
  if (!whole) return corrupt("entry of the purge journal");
  return entries;
}

Result<std::optional<Marks>> PurgeJournal::find(std::string_view key) const {
  const auto value = db_->get(kEntries, key);
  if (!value.ok()) return value.error();
  if (!value->has_value()) return std::optional<Marks>();
  if ((*value)->size() != 24) return corrupt("entry of the purge journal");
  return std::optional<Marks>(marks_at(**value));
}

Status PurgeJournal::write(const Changes& changes, bool sync) {
  const std::lock_guard lock(mutex_);
  kv::Batch batch;
  for (const Entry& entry : changes.entries) {
    batch.put(kEntries, entry.key, numbers({entry.mark.hard, entry.mark.soft, entry.mark.local}));
  }
  for (const std::string& key : changes.forgotten) batch.erase(kEntries, key);
  for (const Entry& entry : changes.forgotten_local) {
    // A younger invalidation may have been written before this.
    const auto there = find(entry.key);
    if (!there.ok()) return there.error();
    if (there->has_value() && (*there)->local <= entry.mark.local) batch.erase(kEntries, entry.key);
  }
  for (const Site& site : changes.sites) {
    Site& now = sites_.try_emplace(site.name, Site{site.name, {}, 0}).first->second;
    now.mark.hard = std::max(now.mark.hard, site.mark.hard);
    now.mark.soft = std::max(now.mark.soft, site.mark.soft);
    now.mark.local = std::max(now.mark.local, site.mark.local);
    now.last_seq = std::max(now.last_seq, site.last_seq);
    batch.put(kSites, now.name,
              numbers({now.mark.hard, now.mark.soft, now.mark.local, now.last_seq}));
  }
  if (changes.position.has_value()) {
    std::string value = numbers({changes.position->position});
    value.append(reinterpret_cast<const char*>(changes.position->chain.data()),
                 changes.position->chain.size());
    batch.put(kMeta, kPosition, value);
  }
  return db_->write(batch, sync ? kv::Sync::now : kv::Sync::later);
}

Status PurgeJournal::apply(const Changes& changes) { return write(changes, true); }

Status PurgeJournal::apply_later(const Changes& changes) { return write(changes, false); }

Result<PurgeChanges> PurgeJournal::load_table() const {
  Result<std::vector<Entry>> entries = load_entries();
  if (!entries.ok()) return entries.error();
  PurgeChanges table;
  table.entries.reserve(entries->size());
  for (Entry& entry : *entries)
    table.entries.push_back({std::move(entry.key), entry.mark, false, false});
  for (const Site& site : loaded_.sites) {
    table.sites.push_back({0, site.mark, site.last_seq, site.name});
  }
  if (loaded_.position.has_value()) table.position = loaded_.position->position;
  return table;
}

PurgeJournal::Changes PurgeJournal::changes_of(const PurgeChanges& changes,
                                               const std::array<uint8_t, 16>& chain) {
  Changes out;
  for (const PurgeChanges::Entry& entry : changes.entries) {
    if (entry.forgotten && entry.local) {
      out.forgotten_local.push_back({entry.key, entry.marks});
    } else if (entry.forgotten) {
      out.forgotten.push_back(entry.key);
    } else {
      out.entries.push_back({entry.key, entry.marks});
    }
  }
  for (const PurgeChanges::Site& site : changes.sites) {
    out.sites.push_back({site.name, site.marks, site.last_seq});
  }
  if (changes.position != 0) out.position = PurgePosition{changes.position, chain};
  return out;
}

Status PurgeJournal::clear() {
  const std::lock_guard lock(mutex_);
  sites_.clear();
  kv::Batch batch;
  for (const size_t space : {size_t{kEntries}, size_t{kSites}}) {
    const Status scanned = db_->scan(space, "", "", [&](std::string_view key, std::string_view) {
      batch.erase(space, key);
      return true;
    });
    if (!scanned.ok()) return scanned;
  }
  batch.erase(kMeta, kPosition);
  return db_->write(batch, kv::Sync::now);
}

}  // namespace bw::edge
