#include "edge/cache/catalogue.h"

#include <charconv>
#include <mutex>

namespace bw::edge {
namespace {

enum : size_t { kObjects, kSegments, kMeta };
constexpr std::string_view kNextSequence = "next_sequence";
constexpr std::string_view kSegmentSize = "segment_size";

Error closed() {
  return Error{
      .kind = Error::Kind::io, .side = Error::Side::storage, .text = "catalogue is closed"};
}

Error corrupt() {
  return Error{
      .kind = Error::Kind::corrupt, .side = Error::Side::storage, .text = "catalogue is damaged"};
}

}  // namespace

void CatalogueBatch::put(const Hash128& key, const ObjectRow& row) {
  batch_.put(kObjects, object_row_key(key), encode_object_row(row));
}
void CatalogueBatch::erase(const Hash128& key) { batch_.erase(kObjects, object_row_key(key)); }
void CatalogueBatch::put(const SegmentRow& row) {
  batch_.put(kSegments, segment_row_key(row.sequence), encode_segment_row(row));
}
void CatalogueBatch::erase_segment(uint64_t sequence) {
  batch_.erase(kSegments, segment_row_key(sequence));
}
void CatalogueBatch::put_next_sequence(uint64_t sequence) {
  batch_.put(kMeta, kNextSequence, std::to_string(sequence));
}
void CatalogueBatch::put_segment_size(uint64_t size) {
  batch_.put(kMeta, kSegmentSize, std::to_string(size));
}

Catalogue::Catalogue(std::string path, size_t memory, std::function<int()> write_fault)
    : path_(std::move(path)), memory_(memory), write_fault_(std::move(write_fault)) {}

Catalogue::~Catalogue() = default;

Status Catalogue::open(std::string* why) {
  std::unique_lock lock(mutex_);
  db_.reset();
  kv::Options options;
  options.path = path_;
  options.memory = memory_;
  options.write_fault = write_fault_;
  options.spaces = {
      {.name = "objects",
       .droppable =
           [this](std::string_view, std::string_view value) {
             const auto row = parse_object_row(value);
             return row.ok() && row->first_sequence < oldest_.load(std::memory_order_acquire);
           }},
      {.name = "segments", .droppable = {}},
      {.name = "meta", .droppable = {}},
  };
  // Nothing is known to be gone until the segments are read.
  oldest_.store(0, std::memory_order_release);
  auto opened = kv::Db::open(std::move(options), why);
  if (!opened.ok()) return opened.error();
  db_ = std::move(*opened);
  return {};
}

void Catalogue::close() {
  std::unique_lock lock(mutex_);
  db_.reset();
}

Result<std::optional<ObjectRow>> Catalogue::find(const Hash128& key) const {
  Result<std::optional<std::string>> value = closed();
  {
    std::shared_lock lock(mutex_);
    if (db_ == nullptr) return closed();
    value = db_->get(kObjects, object_row_key(key));
  }
  if (!value.ok()) return value.error();
  if (!value->has_value()) return std::optional<ObjectRow>();
  auto row = parse_object_row(**value);
  if (!row.ok()) return row.error();
  if (row->first_sequence < oldest_.load(std::memory_order_acquire)) {
    return std::optional<ObjectRow>();
  }
  return std::optional<ObjectRow>(*row);
}

Status Catalogue::write(const CatalogueBatch& batch) {
  std::shared_lock lock(mutex_);
  if (db_ == nullptr) return closed();
  return db_->write(batch.batch_, kv::Sync::later);
}

std::string Catalogue::failure_text() const {
  std::shared_lock lock(mutex_);
  return db_ != nullptr && db_->failed() ? db_->failure_text() : std::string();
}

Result<Catalogue::Segments> Catalogue::segments() const {
  std::shared_lock lock(mutex_);
  if (db_ == nullptr) return closed();
  Segments found;
  bool readable = true;
  const Status scanned =
      db_->scan(kSegments, "", "", [&](std::string_view key, std::string_view value) {
        const auto row = parse_segment_row(key, value);
        readable = readable && row.ok();
        if (row.ok()) found.rows.push_back(*row);
        return readable;
      });
  if (!scanned.ok()) return scanned.error();
  for (const auto& [name, number] :
       {std::pair{kNextSequence, &found.next_sequence}, {kSegmentSize, &found.segment_size}}) {
    const auto value = db_->get(kMeta, name);
    if (!value.ok()) return value.error();
    if (!value->has_value()) continue;
    const char* end = (*value)->data() + (*value)->size();
    const auto parsed = std::from_chars((*value)->data(), end, *number);
    readable = readable && parsed.ec == std::errc() && parsed.ptr == end;
  }
  if (!readable) return corrupt();
  return found;
}

}  // namespace bw::edge
