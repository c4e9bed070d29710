#include "purge/log_store.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::purge;

namespace {

// A disk that forgets what wasn't synced, and fails at the n-th operation if told to.
struct Disk {
  std::string durable;
  std::string volatile_bytes;
  int fail_at = -1;  // operations from now; -1: never
  bool fail_all = false;
  size_t keep_of_failed_write = 0;
  bool failed = false;

  bool fails() {
    if (fail_all) return failed = true;
    if (fail_at < 0) return false;
    if (fail_at-- == 0) return failed = true;
    return false;
  }
};

class DiskFile final : public LogFile {
 public:
  explicit DiskFile(Disk& disk) : disk_(disk) {}
  Result<std::string> read_all() override { return disk_.volatile_bytes; }
  Status write(uint64_t offset, std::string_view bytes) override {
    const bool fails = disk_.fails();
    if (fails) bytes = bytes.substr(0, std::min(bytes.size(), disk_.keep_of_failed_write));
    disk_.volatile_bytes.resize(
        std::max<size_t>(disk_.volatile_bytes.size(), offset + bytes.size()));
    disk_.volatile_bytes.replace(offset, bytes.size(), bytes);
    if (fails) return errno_error(28, "write", Error::Side::storage);
    return {};
  }
  Status sync() override {
    if (disk_.fails()) return errno_error(5, "sync", Error::Side::storage);
    disk_.durable = disk_.volatile_bytes;
    return {};
  }
  Status truncate(uint64_t size) override {
    if (disk_.fails()) return errno_error(30, "truncate", Error::Side::storage);
    disk_.volatile_bytes.resize(size);
    return {};
  }

 private:
  Disk& disk_;
};

LogStore::Opened open_on(Disk& disk, uint64_t seed = 1) {
  std::string why;
  SeededRandom random(seed);
  auto opened = LogStore::open(std::make_unique<DiskFile>(disk), random, &why);
  INFO(why);
  REQUIRE(opened.ok());
  return *std::move(opened);
}

// Power loss: what wasn't synced is gone.
void crash(Disk& disk) {
  disk.volatile_bytes = disk.durable;
  disk.fail_at = -1;
  disk.fail_all = false;
  disk.failed = false;
}

std::vector<Record> tags(std::initializer_list<const char*> names) {
  std::vector<Record> records;
  for (const char* name : names) {
    Record record;
    record.site = "shop";
    record.text = name;
    records.push_back(record);
  }
  return records;
}

}  // namespace

TEST_CASE("log: records come back after a restart, dense across epochs") {
  Disk disk;
  {
    auto opened = open_on(disk);
    REQUIRE(opened.store->open_epoch(1, false, 1).ok());
    auto batch = tags({"a", "b"});
    REQUIRE(opened.store->append(batch).ok());
    CHECK(batch[1].position == Position::of(1, 3));
  }
  auto opened = open_on(disk);
  REQUIRE(opened.records.size() == 3);
  const auto epoch = opened.store->open_epoch(2, true, 2);
  REQUIRE(epoch.ok());
  CHECK(epoch->position == Position::of(2, 4));
  const auto start = parse_epoch_text(epoch->text);
  REQUIRE(start);
  CHECK(start->complete);
  CHECK(start->before.position == Position::of(1, 3));
  CHECK(start->before.chain == opened.records[2].chain);
}

TEST_CASE("[promise-2] log: an acknowledged batch outlives power loss at every step after it") {
  for (int step = 0; step < 8; ++step) {
    for (const size_t kept : {size_t{0}, size_t{5}, size_t{40}, size_t{1000}}) {
      CAPTURE(step, kept);
      Disk disk;
      auto opened = open_on(disk);
      REQUIRE(opened.store->open_epoch(1, false, 1).ok());
      std::vector<std::string> acknowledged;
      disk.fail_at = step;
      disk.keep_of_failed_write = kept;
      for (const char* name : {"a", "b", "c", "d"}) {
        auto batch = tags({name});
        if (opened.store->append(batch).ok()) acknowledged.push_back(name);
      }
      CHECK(acknowledged.size() >= 3);  // one failure costs one batch at most
      crash(disk);
      const auto again = open_on(disk);
      std::vector<std::string> found;
      for (const Record& record : again.records) {
        if (record.kind == Kind::tag) found.push_back(record.text);
      }
      CHECK(found == acknowledged);
    }
  }
}

TEST_CASE("log: a disk that fails for good refuses every batch and uses no sequence") {
  Disk disk;
  auto opened = open_on(disk);
  REQUIRE(opened.store->open_epoch(1, false, 1).ok());
  disk.fail_all = true;
  disk.keep_of_failed_write = 30;
  for (int i = 0; i < 3; ++i) {
    auto batch = tags({"x"});
    CHECK_FALSE(opened.store->append(batch).ok());
    CHECK(batch[0].position.value == 0);
  }
  disk.fail_all = false;
  auto batch = tags({"y"});
  REQUIRE(opened.store->append(batch).ok());
  CHECK(batch[0].position == Position::of(1, 2));
  crash(disk);
  CHECK(open_on(disk).records.size() == 2);
}

TEST_CASE("log: a torn last frame is cut wherever it is torn, and writing goes on") {
  Disk disk;
  auto opened = open_on(disk);
  REQUIRE(opened.store->open_epoch(1, false, 1).ok());
  const size_t whole = disk.durable.size();
  auto batch = tags({"a", "b"});
  REQUIRE(opened.store->append(batch).ok());
  const std::string bytes = disk.durable;
  for (size_t size = whole; size < bytes.size(); ++size) {
    Disk torn;
    torn.durable = torn.volatile_bytes = bytes.substr(0, size);
    auto again = open_on(torn);
    CHECK(again.records.size() == 1);
    CHECK(again.torn_bytes == size - whole);
    auto more = tags({"c"});
    REQUIRE(again.store->append(more).ok());
    CHECK(open_on(torn).records.size() == 2);
  }
}

TEST_CASE("log: damage before a good frame is told, never cut away") {
  Disk disk;
  auto opened = open_on(disk);
  REQUIRE(opened.store->open_epoch(1, false, 1).ok());
  const size_t first = disk.durable.size();
  auto batch = tags({"a"});
  REQUIRE(opened.store->append(batch).ok());
  for (size_t at = 0; at < first; ++at) {
    Disk damaged;
    damaged.durable = damaged.volatile_bytes = disk.durable;
    damaged.volatile_bytes[at] = static_cast<char>(damaged.volatile_bytes[at] ^ 0x20);
    std::string why;
    SeededRandom random(1);
    const auto result = LogStore::open(std::make_unique<DiskFile>(damaged), random, &why);
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().kind == Error::Kind::corrupt);
    CHECK(damaged.volatile_bytes.size() == disk.durable.size());
  }
}

TEST_CASE("log: an epoch is never reused") {
  Disk disk;
  auto opened = open_on(disk);
  REQUIRE(opened.store->open_epoch(4, false, 1).ok());
  CHECK_FALSE(opened.store->open_epoch(4, false, 1).ok());
  CHECK_FALSE(opened.store->open_epoch(65536, false, 1).ok());
}

TEST_CASE("log: a frame in a text of a torn frame isn't taken for one") {
  // The frame of one log, as bytes that a client of another might send.
  const auto frame_of = [](uint64_t seed, const std::string& text, size_t& start) {
    Disk disk;
    auto opened = open_on(disk, seed);
    REQUIRE(opened.store->open_epoch(1, false, 1).ok());
    start = disk.durable.size();
    auto batch = tags({text.c_str()});
    batch[0].text = text;
    REQUIRE(opened.store->append(batch).ok());
    return disk.durable;
  };
  size_t start = 0;
  const std::string inner = frame_of(2, "fake", start).substr(start);
  const std::string whole = frame_of(1, inner, start);
  for (size_t size = start; size < whole.size(); ++size) {
    Disk torn;
    torn.durable = torn.volatile_bytes = whole.substr(0, size);
    CHECK(open_on(torn).records.size() == 1);
  }
  // Nor one of this log's own at another place.
  const std::string own = frame_of(1, "fake", start).substr(start);
  Disk torn;
  torn.durable = torn.volatile_bytes = whole.substr(0, start) + "x" + own;
  CHECK(open_on(torn).records.size() == 1);
}

TEST_CASE("log: a head that never came whole to the disk is made anew; a strange one is told") {
  Disk made;
  (void)open_on(made);
  const std::string head = made.durable;
  for (size_t size = 0; size < head.size(); ++size) {
    Disk torn;
    torn.volatile_bytes = torn.durable = head.substr(0, size);
    auto opened = open_on(torn);
    CHECK(opened.torn_bytes == size);
    REQUIRE(opened.store->open_epoch(1, false, 1).ok());
    CHECK(open_on(torn).records.size() == 1);
  }
  Disk strange;
  strange.volatile_bytes = strange.durable = "BWPLOG1\n and records of an older format";
  std::string why;
  SeededRandom random(1);
  CHECK_FALSE(LogStore::open(std::make_unique<DiskFile>(strange), random, &why).ok());
  CHECK(why.find("format") != std::string::npos);
  CHECK(strange.volatile_bytes == strange.durable);
}
