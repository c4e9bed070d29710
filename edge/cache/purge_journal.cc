#include "edge/cache/purge_journal.h"

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
        whole = value.size() == 24;
        if (!whole) return false;
        loaded.sites.push_back({.name = std::string(name),
                                .mark = {.hard = number_at(value, 0), .soft = number_at(value, 1)},
                                .last_seq = number_at(value, 2)});
        return true;
      });
  if (!scanned.ok()) return scanned.error();
  if (!whole) return corrupt("site of the purge journal");

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
        whole = value.size() == 16;
        if (!whole) return false;
        entries.push_back({.key = std::string(key),
                           .mark = {.hard = number_at(value, 0), .soft = number_at(value, 1)}});
        return true;
      });
  if (!scanned.ok()) return scanned.error();
  if (!whole) return corrupt("entry of the purge journal");
  return entries;
}

Result<std::optional<PurgeMark>> PurgeJournal::find(std::string_view key) const {
  const auto value = db_->get(kEntries, key);
  if (!value.ok()) return value.error();
  if (!value->has_value()) return std::optional<PurgeMark>();
  if ((*value)->size() != 16) return corrupt("entry of the purge journal");
  return std::optional<PurgeMark>(
      PurgeMark{.hard = number_at(**value, 0), .soft = number_at(**value, 1)});
}

Status PurgeJournal::apply(const Changes& changes) {
  kv::Batch batch;
  for (const Entry& entry : changes.entries) {
    batch.put(kEntries, entry.key, numbers({entry.mark.hard, entry.mark.soft}));
  }
  for (const std::string& key : changes.forgotten) batch.erase(kEntries, key);
  for (const Site& site : changes.sites) {
    batch.put(kSites, site.name, numbers({site.mark.hard, site.mark.soft, site.last_seq}));
  }
  if (changes.position.has_value()) {
    std::string value = numbers({changes.position->position});
    value.append(reinterpret_cast<const char*>(changes.position->chain.data()),
                 changes.position->chain.size());
    batch.put(kMeta, kPosition, value);
  }
  return db_->write(batch, kv::Sync::now);
}

Status PurgeJournal::clear() {
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
