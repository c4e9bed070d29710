#include "purge/log_store.h"

#include <cstring>
#include <optional>

#include "core/base/digest.h"

namespace bw::purge {
namespace {

constexpr std::string_view kFileMagic = "BWPLOG2\n";
constexpr size_t kFileHead = 8 + 8 + 8;  // magic, salt, checksum of both
constexpr std::string_view kMagic = "BWPFRAM\n";
constexpr size_t kHeader = 8 + 4 + 8 + 8;  // magic, length, checksum, seal
constexpr size_t kMaxFrame = 64 << 20;

void put_number(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t number_at(std::string_view in, size_t offset, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= uint64_t{static_cast<uint8_t>(in[offset + static_cast<size_t>(i)])} << (8 * i);
  }
  return value;
}

uint64_t seal_of(uint64_t salt, uint64_t place, uint64_t length, uint64_t checksum) {
  std::string bytes;
  for (const uint64_t number : {salt, place, length, checksum}) put_number(bytes, number, 8);
  return xxh3_64(bytes);
}

// The payload of the good frame at the front of `in`, which is at `place` of a file of this salt.
// The seal comes first: what only looks like a frame costs no pass over what it calls its payload.
std::optional<std::string_view> frame_at(std::string_view in, uint64_t place, uint64_t salt) {
  if (in.size() < kHeader || in.substr(0, kMagic.size()) != kMagic) return std::nullopt;
  const uint64_t length = number_at(in, 8, 4);
  if (length == 0 || length > kMaxFrame || length > in.size() - kHeader) return std::nullopt;
  const uint64_t checksum = number_at(in, 12, 8);
  if (seal_of(salt, place, length, checksum) != number_at(in, 20, 8)) return std::nullopt;
  const std::string_view payload = in.substr(kHeader, length);
  if (xxh3_64(payload) != checksum) return std::nullopt;
  return payload;
}

bool good_frame_after(std::string_view in, uint64_t place, uint64_t salt) {
  for (size_t at = in.find(kMagic, 1); at != std::string_view::npos; at = in.find(kMagic, at + 1)) {
    if (frame_at(in.substr(at), place + at, salt)) return true;
  }
  return false;
}

std::optional<uint64_t> salt_of(std::string_view file) {
  if (file.size() < kFileHead || file.substr(0, kFileMagic.size()) != kFileMagic ||
      xxh3_64(file.substr(0, 16)) != number_at(file, 16, 8)) {
    return std::nullopt;
  }
  return number_at(file, 8, 8);
}

// Whether `record` may follow `end`.
bool follows(const LogPoint& end, const Record& record) {
  const bool dense = record.position.sequence() == end.position.sequence() + 1;
  const bool epoch = record.kind == Kind::epoch ? record.position.epoch() > end.position.epoch()
                                                : record.position.epoch() == end.position.epoch();
  return dense && epoch && record.chain == next_chain(end.chain, record);
}

Error corrupt(std::string_view text) {
  return Error{.kind = Error::Kind::corrupt, .side = Error::Side::storage, .text = text};
}

}  // namespace

Result<LogStore::Opened> LogStore::open(std::unique_ptr<LogFile> file, Random& random,
                                        std::string* why) {
  Result<std::string> bytes = file->read_all();
  if (!bytes.ok()) {
    if (why != nullptr) *why = describe(bytes.error());
    return bytes.error();
  }
  Opened opened;
  opened.store.reset(new LogStore(std::move(file)));
  LogStore& store = *opened.store;
  std::string_view rest = *bytes;
  const auto fail = [&](const char* text) -> Error {
    if (why != nullptr) {
      *why = std::string(text) + " at byte " + std::to_string(store.size_) + " of the log";
    }
    return corrupt(text);
  };
  // A file too short for a frame was never more than a head on its way to the disk.
  if (rest.size() <= kFileHead && !salt_of(rest)) {
    opened.torn_bytes = rest.size();
    store.dirty_ = !rest.empty();
    if (Status made = store.write_head(random.next()); !made.ok()) {
      if (why != nullptr) *why = describe(made.error());
      return made.error();
    }
    return opened;
  }
  const std::optional<uint64_t> salt = salt_of(rest);
  if (!salt) return fail("damaged head, or another format's,");
  store.salt_ = *salt;
  store.size_ = kFileHead;
  rest.remove_prefix(kFileHead);
  while (!rest.empty()) {
    const auto payload = frame_at(rest, store.size_, store.salt_);
    if (!payload) {
      if (good_frame_after(rest, store.size_, store.salt_)) return fail("damaged frame");
      break;
    }
    std::string_view in = *payload;
    while (!in.empty()) {
      Result<Record> record = decode_record(in);
      if (!record.ok()) return fail("malformed record");
      if (!follows(store.end_, *record)) return fail("record out of order");
      store.end_ = {record->position, record->chain};
      opened.records.push_back(*std::move(record));
    }
    store.size_ += kHeader + payload->size();
    rest.remove_prefix(kHeader + payload->size());
  }
  opened.torn_bytes = rest.size();
  store.dirty_ = !rest.empty();
  if (Status repaired = store.repair(); !repaired.ok()) {
    if (why != nullptr) *why = describe(repaired.error());
    return repaired.error();
  }
  return opened;
}

Status LogStore::write_head(uint64_t salt) {
  if (Status repaired = repair(); !repaired.ok()) return repaired;
  std::string head(kFileMagic);
  put_number(head, salt, 8);
  put_number(head, xxh3_64(head), 8);
  Status done = file_->write(0, head);
  if (done.ok()) done = file_->sync();
  if (!done.ok()) return done;
  salt_ = salt;
  size_ = head.size();
  return {};
}

Status LogStore::repair() {
  if (!dirty_) return {};
  if (Status cut = file_->truncate(size_); !cut.ok()) return cut;
  // The cut must be durable: bytes of a refused batch may not come back after a crash.
  if (Status synced = file_->sync(); !synced.ok()) return synced;
  dirty_ = false;
  return {};
}

Status LogStore::write_frame(const std::vector<Record>& records) {
  if (Status repaired = repair(); !repaired.ok()) return repaired;
  std::string payload;
  for (const Record& record : records) encode_record(payload, record);
  if (payload.size() > kMaxFrame) {
    return Error{.kind = Error::Kind::too_large, .side = Error::Side::storage, .text = "log batch"};
  }
  std::string frame(kMagic);
  put_number(frame, payload.size(), 4);
  const uint64_t checksum = xxh3_64(payload);
  put_number(frame, checksum, 8);
  put_number(frame, seal_of(salt_, size_, payload.size(), checksum), 8);
  frame += payload;
  dirty_ = true;
  Status done = file_->write(size_, frame);
  if (done.ok()) done = file_->sync();
  if (!done.ok()) {
    (void)repair();  // now if it can be; else before the next append
    return done;
  }
  dirty_ = false;
  size_ += frame.size();
  end_ = {records.back().position, records.back().chain};
  return {};
}

Status LogStore::append(std::vector<Record>& records) {
  if (records.empty()) return {};
  BW_CHECK(end_.position.epoch() > 0);
  if (end_.position.sequence() + records.size() > Position::kMaxSequence) {
    return Error{.kind = Error::Kind::no_space, .side = Error::Side::storage, .text = "sequence"};
  }
  std::vector<Record> placed = records;
  LogPoint at = end_;
  for (Record& record : placed) {
    record.position = Position::of(at.position.epoch(), at.position.sequence() + 1);
    record.chain = next_chain(at.chain, record);
    at = {record.position, record.chain};
  }
  if (Status written = write_frame(placed); !written.ok()) return written;
  records = std::move(placed);
  return {};
}

Result<Record> LogStore::open_epoch(uint32_t epoch, bool complete, int64_t time_ms) {
  if (epoch <= end_.position.epoch() || epoch > Position::kMaxEpoch) {
    return Error{.kind = Error::Kind::no_space, .side = Error::Side::storage, .text = "epoch"};
  }
  std::vector<Record> records(1);
  Record& record = records[0];
  record.position = Position::of(epoch, end_.position.sequence() + 1);
  record.time_ms = time_ms;
  record.kind = Kind::epoch;
  record.text = epoch_text({end_, complete});
  record.chain = next_chain(end_.chain, record);
  if (Status written = write_frame(records); !written.ok()) return written.error();
  return records[0];
}

}  // namespace bw::purge
