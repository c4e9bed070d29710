#include "core/kv/db.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>

#include "core/base/executor.h"
#include "core/kv/crash_stop.h"

namespace bw::kv {
namespace {

using RocksSlice = rocksdb::Slice;

RocksSlice rocks(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const RocksSlice& slice) { return {slice.data(), slice.size()}; }

Error error_of(const rocksdb::Status& status, std::string_view text) {
  // RocksDB's codes aren't errnos, so none is handed on.
  Error error{.kind = Error::Kind::io, .side = Error::Side::storage, .text = text};
  if (status.IsNoSpace()) {
    error.kind = Error::Kind::no_space;
  } else if (status.IsCorruption()) {
    error.kind = Error::Kind::corrupt;
  } else if (status.IsBusy() || status.ToString().find("lock") != std::string::npos) {
    error.kind = Error::Kind::busy;
  }
  return error;
}

class DropFilter final : public rocksdb::CompactionFilter {
 public:
  explicit DropFilter(const Space& space) : space_(space) {}
  const char* Name() const override { return "DropFilter"; }
  bool Filter(int, const RocksSlice& key, const RocksSlice& value, std::string*,
              bool*) const override {
    return space_.droppable(view(key), view(value));
  }

 private:
  const Space& space_;
};

rocksdb::BlockBasedTableOptions table_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.block_size = 4096;
  table.block_cache = cache;
  table.data_block_index_type =
      rocksdb::BlockBasedTableOptions::DataBlockIndexType::kDataBlockBinaryAndHash;
  table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10));
  table.partition_filters = true;
  table.index_type = rocksdb::BlockBasedTableOptions::IndexType::kTwoLevelIndexSearch;
  table.metadata_block_size = 4096;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_top_level_index_and_filter = true;
  // All that RocksDB keeps is charged to the one cache, so that `memory` bounds it.
  for (const auto role :
       {rocksdb::CacheEntryRole::kFilterConstruction,
        rocksdb::CacheEntryRole::kBlockBasedTableReader, rocksdb::CacheEntryRole::kFileMetadata}) {
    table.cache_usage_options.options_overrides[role].charged =
        rocksdb::CacheEntryRoleOptions::Decision::kEnabled;
  }
  return table;
}

}  // namespace

void Batch::put(size_t space, std::string_view key, std::string_view value) {
  changes_.push_back({space, false, std::string(key), std::string(value)});
}

void Batch::erase(size_t space, std::string_view key) {
  changes_.push_back({space, true, std::string(key), {}});
}

// Order of members is order of life: RocksDB goes first, then what it points to.
struct Db::State {
  Options options;
  std::shared_ptr<Latch> latch;
  std::vector<std::unique_ptr<DropFilter>> filters;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> spaces;

  ~State() {
    if (db == nullptr) return;
    for (rocksdb::ColumnFamilyHandle* space : spaces) {
      db->DestroyColumnFamilyHandle(space).PermitUncheckedError();
    }
    db->Close().PermitUncheckedError();
  }

  rocksdb::DBOptions db_options(const std::shared_ptr<rocksdb::Cache>& cache) const {
    rocksdb::DBOptions out;
    out.env = env.get();
    out.create_if_missing = true;
    out.create_missing_column_families = true;
    out.info_log = make_quiet_log();
    out.info_log_level = rocksdb::InfoLogLevel::ERROR_LEVEL;
    out.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
        std::min<size_t>(24u << 20, options.memory / 2), cache);
    out.max_background_jobs = 2;
    out.max_open_files = -1;
    out.skip_stats_update_on_db_open = true;
    // A start replays the log and does nothing else that takes time.
    out.max_total_wal_size = 16u << 20;
    out.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    out.bytes_per_sync = 1u << 20;
    out.wal_bytes_per_sync = 1u << 20;
    out.stats_dump_period_sec = 0;
    out.stats_persist_period_sec = 0;
    out.dump_malloc_stats = false;
    out.keep_log_file_num = 1;
    out.allow_mmap_reads = false;
    return out;
  }

  rocksdb::ColumnFamilyOptions space_options(const rocksdb::BlockBasedTableOptions& table) const {
    rocksdb::ColumnFamilyOptions out;
    out.compression = rocksdb::kNoCompression;
    out.write_buffer_size = std::min<size_t>(8u << 20, options.memory / 4);
    out.max_write_buffer_number = 3;
    out.target_file_size_base = 32u << 20;
    out.max_bytes_for_level_base = 128u << 20;
    out.level_compaction_dynamic_level_bytes = true;
    out.periodic_compaction_seconds = 24 * 60 * 60;
    out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return out;
  }

  Error latch_error(std::string_view text) const {
    return Error{.kind = latch->no_space() ? Error::Kind::no_space : Error::Kind::io,
                 .side = Error::Side::storage,
                 .text = text};
  }
};

Db::Db(std::unique_ptr<State> state) : state_(std::move(state)) {}

Db::~Db() { BW_CHECK(thread_may_block()); }

Result<std::unique_ptr<Db>> Db::open(Options options, std::string* why) {
  BW_CHECK(thread_may_block());
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  state->latch = std::make_shared<Latch>(state->options.write_fault);
  state->env = rocksdb::NewCompositeEnv(make_crash_stop(state->latch));

  rocksdb::LRUCacheOptions cache_options;
  cache_options.capacity = state->options.memory;
  cache_options.strict_capacity_limit = false;
  const auto cache = rocksdb::NewLRUCache(cache_options);
  const auto table = table_options(cache);

  // RocksDB insists on a space of this name; ours come behind it.
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, state->space_options(table));
  for (const Space& space : state->options.spaces) {
    rocksdb::ColumnFamilyOptions space_options = state->space_options(table);
    if (space.droppable) {
      state->filters.push_back(std::make_unique<DropFilter>(space));
      space_options.compaction_filter = state->filters.back().get();
    }
    descriptors.emplace_back(space.name, space_options);
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(rocksdb::DBOptions(state->db_options(cache)), state->options.path,
                        descriptors, &state->spaces, &db);
  state->db.reset(db);
  if (state->latch->fallen()) {
    if (why != nullptr) *why = state->options.path + ": " + state->latch->text();
    return state->latch_error("database cannot be written");
  }
  if (!status.ok()) {
    if (why != nullptr) *why = state->options.path + ": " + status.ToString();
    return error_of(status, "database cannot be opened");
  }
  return std::unique_ptr<Db>(new Db(std::move(state)));
}

Result<std::optional<std::string>> Db::get(size_t space, std::string_view key) const {
  BW_CHECK(thread_may_block());
  std::string value;
  const rocksdb::Status status =
      state_->db->Get(rocksdb::ReadOptions(), state_->spaces[space + 1], rocks(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return error_of(status, "database read failed");
  return std::optional<std::string>(std::move(value));
}

Status Db::write(const Batch& batch, Sync sync) {
  BW_CHECK(thread_may_block());
  if (failed()) return failure();
  rocksdb::WriteBatch changes;
  for (const Batch::Change& change : batch.changes_) {
    rocksdb::ColumnFamilyHandle* space = state_->spaces[change.space + 1];
    const rocksdb::Status status = change.erase
                                       ? changes.Delete(space, rocks(change.key))
                                       : changes.Put(space, rocks(change.key), rocks(change.value));
    if (!status.ok()) return error_of(status, "database batch refused");
  }
  rocksdb::WriteOptions options;
  options.sync = sync == Sync::now;
  const rocksdb::Status status = state_->db->Write(options, &changes);
  if (!status.ok()) {
    // RocksDB doesn't recover from these; only a new open() does.
    state_->latch->fall(status.IsNoSpace(), status.ToString());
    return error_of(status, "database write failed");
  }
  // Behind the latch writes "succeed": only the latch knows.
  if (failed()) return failure();
  return {};
}

Status Db::scan(size_t space, std::string_view from, std::string_view to,
                const std::function<bool(std::string_view, std::string_view)>& visit) const {
  BW_CHECK(thread_may_block());
  rocksdb::ReadOptions options;
  const RocksSlice bound = rocks(to);
  if (!to.empty()) options.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> at(
      state_->db->NewIterator(options, state_->spaces[space + 1]));
  for (at->Seek(rocks(from)); at->Valid(); at->Next()) {
    if (!visit(view(at->key()), view(at->value()))) return {};
  }
  if (!at->status().ok()) return error_of(at->status(), "database scan failed");
  return {};
}

Result<std::optional<std::pair<std::string, std::string>>> Db::last(size_t space) const {
  BW_CHECK(thread_may_block());
  const std::unique_ptr<rocksdb::Iterator> at(
      state_->db->NewIterator(rocksdb::ReadOptions(), state_->spaces[space + 1]));
  at->SeekToLast();
  if (at->Valid()) {
    return std::make_optional(
        std::make_pair(std::string(view(at->key())), std::string(view(at->value()))));
  }
  if (!at->status().ok()) return error_of(at->status(), "database scan failed");
  return std::optional<std::pair<std::string, std::string>>();
}

bool Db::failed() const { return state_->latch->fallen(); }

Error Db::failure() const { return state_->latch_error("database stopped at an earlier error"); }

std::string Db::failure_text() const { return state_->latch->text(); }

}  // namespace bw::kv
