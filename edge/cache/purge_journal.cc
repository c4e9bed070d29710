#include "edge/cache/purge_journal.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "core/base/log.h"
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

Error closed() {
  return Error{
      .kind = Error::Kind::io, .side = Error::Side::storage, .text = "purge journal is closed"};
}

}  // namespace

PurgeJournal::PurgeJournal(std::string path, std::function<int()> write_fault)
    : path_(std::move(path)), write_fault_(std::move(write_fault)) {}
PurgeJournal::~PurgeJournal() = default;

uint64_t PurgeJournal::first_boot_at(WallTime now) {
  constexpr int64_t k2020 = 1'577'836'800;
  return static_cast<uint64_t>(std::max<int64_t>((now.seconds() - k2020) / 60, 1));
}

Result<std::unique_ptr<PurgeJournal>> PurgeJournal::open(const std::string& path, std::string* why,
                                                         uint64_t first_boot,
                                                         std::function<int()> write_fault) {
  std::string text;
  std::string* const to = why == nullptr ? &text : why;
  const auto once = [&](std::unique_ptr<PurgeJournal>& journal) -> Status {
    journal.reset(new PurgeJournal(path, write_fault));
    if (Status opened = journal->open_db(to); !opened.ok()) return opened;
    return journal->read(first_boot, to);
  };
  std::unique_ptr<PurgeJournal> journal;
  const Status opened = once(journal);
  if (opened.ok()) return journal;
  journal.reset();
  if (opened.error().kind == Error::Kind::busy || opened.error().kind == Error::Kind::no_space) {
    return opened.error();
  }
  // Where a new one can be made, the old one was at fault, not the disk.
  std::error_code code;
  std::string aside;
  for (int i = 0; aside.empty() || std::filesystem::exists(aside, code); ++i) {
    aside = path + ".set-aside-" + std::to_string(i);
  }
  std::filesystem::rename(path, aside, code);
  if (code) return opened.error();
  const std::string damage = *to;
  if (!once(journal).ok()) {
    journal.reset();
    std::filesystem::remove_all(path, code);
    std::filesystem::rename(aside, path, code);
    *to = damage;
    return opened.error();
  }
  to->clear();
  log::warning("the purge journal was moved to " + aside +
               " and begins anew: " + (damage.empty() ? describe(opened.error()) : damage));
  return journal;
}

std::unique_ptr<PurgeJournal> PurgeJournal::open_later(const std::string& path,
                                                       uint64_t first_boot) {
  std::unique_ptr<PurgeJournal> journal(new PurgeJournal(path, {}));
  journal->loaded_.boot = first_boot;
  return journal;
}

Status PurgeJournal::open_db(std::string* why) {
  kv::Options options;
  options.path = path_;
  options.spaces = {{.name = "entries", .droppable = {}},
                    {.name = "sites", .droppable = {}},
                    {.name = "meta", .droppable = {}}};
  options.memory = 16u << 20;
  options.write_fault = write_fault_;
  db_.reset();
  auto db = kv::Db::open(std::move(options), why);
  if (!db.ok()) return db.error();
  db_ = std::move(*db);
  return {};
}

Status PurgeJournal::read(uint64_t first_boot, std::string* why) {
  const auto format = db_->get(kMeta, kFormat);
  if (!format.ok()) return format.error();
  if (format->has_value() && **format != kThisFormat) {
    *why = path_ + ": format '" + **format + "' is not ours, '" + std::string(kThisFormat) + "'";
    return Error{.kind = Error::Kind::unsupported,
                 .side = Error::Side::storage,
                 .text = "foreign format of the purge journal"};
  }
  const auto boot = db_->get(kMeta, kBoot);
  if (!boot.ok()) return boot.error();
  const auto position = db_->get(kMeta, kPosition);
  if (!position.ok()) return position.error();

  loaded_.boot = std::max((boot->has_value() ? number_at(**boot, 0) : 0) + 1, first_boot);
  if (position->has_value()) {
    if ((*position)->size() != 24) return corrupt("position of the purge journal");
    PurgePosition& at = loaded_.position.emplace();
    at.position = number_at(**position, 0);
    std::memcpy(at.chain.data(), (*position)->data() + 8, at.chain.size());
  }
  bool whole = true;
  const Status scanned =
      db_->scan(kSites, "", "", [&](std::string_view name, std::string_view value) {
        whole = value.size() == 32;
        if (!whole) return false;
        loaded_.sites.push_back(
            {.name = std::string(name), .mark = marks_at(value), .last_seq = number_at(value, 3)});
        return true;
      });
  if (!scanned.ok()) return scanned;
  if (!whole) return corrupt("site of the purge journal");
  for (const Site& site : loaded_.sites) sites_.emplace(site.name, site);

  kv::Batch batch;
  batch.put(kMeta, kFormat, kThisFormat);
  batch.put(kMeta, kBoot, numbers({loaded_.boot}));
  if (const Status written = db_->write(batch, kv::Sync::now); !written.ok()) {
    *why = path_ + ": " + db_->failure_text();
    return written;
  }
  return {};
}

Result<std::vector<PurgeJournal::Entry>> PurgeJournal::load_entries() const {
  if (db_ == nullptr) return closed();
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
  if (db_ == nullptr) return closed();
  const auto value = db_->get(kEntries, key);
  if (!value.ok()) return value.error();
  if (!value->has_value()) return std::optional<Marks>();
  if ((*value)->size() != 24) return corrupt("entry of the purge journal");
  return std::optional<Marks>(marks_at(**value));
}

Status PurgeJournal::write(const Changes& changes, bool sync) {
  const std::lock_guard lock(mutex_);
  if (db_ == nullptr) return closed();
  kv::Batch batch;
  if (Status added = add(batch, changes); !added.ok()) return added;
  return db_->write(batch, sync ? kv::Sync::now : kv::Sync::later);
}

Status PurgeJournal::add(kv::Batch& batch, const Changes& changes) {
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
  return {};
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

Status PurgeJournal::erase_all(kv::Batch& batch) const {
  for (const size_t space : {size_t{kEntries}, size_t{kSites}}) {
    const Status scanned = db_->scan(space, "", "", [&](std::string_view key, std::string_view) {
      batch.erase(space, key);
      return true;
    });
    if (!scanned.ok()) return scanned;
  }
  batch.erase(kMeta, kPosition);
  return {};
}

Status PurgeJournal::clear() {
  const std::lock_guard lock(mutex_);
  if (db_ == nullptr) return closed();
  sites_.clear();
  kv::Batch batch;
  if (Status erased = erase_all(batch); !erased.ok()) return erased;
  return db_->write(batch, kv::Sync::now);
}

Status PurgeJournal::replace(const Changes& all) {
  const std::lock_guard lock(mutex_);
  std::string why;
  Status done;
  if (db_ == nullptr || db_->failed()) done = open_db(&why);
  kv::Batch batch;
  if (done.ok()) done = erase_all(batch);
  if (done.ok()) {
    sites_.clear();
    batch.put(kMeta, kFormat, kThisFormat);
    batch.put(kMeta, kBoot, numbers({loaded_.boot}));
    done = add(batch, all);
  }
  if (done.ok()) done = db_->write(batch, kv::Sync::now);
  // Nothing may be written behind a gap.
  if (!done.ok()) db_.reset();
  return done;
}

}  // namespace bw::edge
