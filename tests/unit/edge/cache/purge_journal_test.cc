#include "edge/cache/purge_journal.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

using namespace bw;
using edge::PurgeJournal;

namespace {

std::unique_ptr<PurgeJournal> open_at(const std::string& path) {
  std::string why;
  auto journal = PurgeJournal::open(path, &why);
  INFO(why);
  REQUIRE(journal.ok());
  return std::move(*journal);
}

}  // namespace

TEST_CASE("journal: the boot number that time gives rises with it and stays within 24 bits") {
  const auto at = [](int64_t seconds) {
    return PurgeJournal::first_boot_at(WallTime{seconds * 1'000'000'000});
  };
  CHECK(at(0) == 1);  // a clock that was never set
  CHECK(at(1'764'000'000) > 1);
  CHECK(at(1'764'000'060) == at(1'764'000'000) + 1);
  CHECK(at(2'500'000'000) < 1u << 24);
}

TEST_CASE("purge journal: entries, site marks and position come back together") {
  test::TempDir dir;
  edge::PurgePosition position{.position = 77};
  position.chain[3] = 9;
  {
    auto journal = open_at(dir / "purge");
    CHECK_FALSE(journal->loaded().position.has_value());
    CHECK(journal->loaded().boot == 1);
    PurgeJournal::Changes changes;
    changes.entries = {{"tag a", {.hard = 10, .soft = 20}}, {"tag b", {.hard = 0, .soft = 5}}};
    changes.sites = {{"shop", {.hard = 1, .soft = 2}, 20}};
    changes.position = position;
    REQUIRE(journal->apply(changes).ok());
  }
  auto journal = open_at(dir / "purge");
  CHECK(journal->loaded().boot == 2);
  REQUIRE(journal->loaded().position.has_value());
  CHECK(*journal->loaded().position == position);
  REQUIRE(journal->loaded().sites.size() == 1);
  CHECK(journal->loaded().sites[0].last_seq == 20);
  CHECK(journal->loaded().sites[0].mark == edge::Marks{.hard = 1, .soft = 2});
  CHECK(**journal->find("tag a") == edge::Marks{.hard = 10, .soft = 20});
  CHECK_FALSE((*journal->find("tag c")).has_value());
  CHECK((*journal->load_entries()).size() == 2);
}

TEST_CASE("purge journal: forgetting and raising the site entry are one batch") {
  test::TempDir dir;
  auto journal = open_at(dir / "purge");
  PurgeJournal::Changes put;
  put.entries = {{"k", {.hard = 4, .soft = 0}}};
  REQUIRE(journal->apply(put).ok());
  PurgeJournal::Changes drop;
  drop.sites = {{"s", {.hard = 4, .soft = 0}, 4}};
  drop.forgotten = {"k"};
  REQUIRE(journal->apply(drop).ok());
  journal.reset();
  journal = open_at(dir / "purge");
  CHECK((*journal->load_entries()).empty());
  CHECK(journal->loaded().sites[0].mark.hard == 4);
}

TEST_CASE("purge journal: clear forgets all but the boot number") {
  test::TempDir dir;
  auto journal = open_at(dir / "purge");
  PurgeJournal::Changes changes;
  changes.entries = {{"k", {.hard = 4, .soft = 0}}};
  changes.position = edge::PurgePosition{.position = 4};
  REQUIRE(journal->apply(changes).ok());
  REQUIRE(journal->clear().ok());
  journal.reset();
  journal = open_at(dir / "purge");
  CHECK_FALSE(journal->loaded().position.has_value());
  CHECK((*journal->load_entries()).empty());
  CHECK(journal->loaded().boot == 2);
}

TEST_CASE("purge journal: after a failed write nothing is written until the whole table was") {
  test::TempDir dir;
  std::atomic<int> fault{0};
  std::string why;
  auto journal = *PurgeJournal::open(dir / "purge", &why, 1, [&] { return fault.load(); });
  const auto batch = [](const char* key, uint64_t position) {
    PurgeJournal::Changes changes;
    changes.entries = {{key, {.hard = position}}};
    changes.sites = {{"shop", {}, position}};
    changes.position = edge::PurgePosition{.position = position};
    return changes;
  };
  REQUIRE(journal->apply(batch("one", 1)).ok());
  fault = ENOSPC;
  CHECK_FALSE(journal->apply(batch("two", 2)).ok());
  CHECK_FALSE(journal->replace(batch("two", 2)).ok());
  fault = 0;
  CHECK_FALSE(journal->apply(batch("three", 3)).ok());
  PurgeJournal::Changes all = batch("two", 3);
  all.entries.push_back({"three", {.hard = 3}});
  REQUIRE(journal->replace(all).ok());
  REQUIRE(journal->apply(batch("four", 4)).ok());
  journal.reset();
  journal = open_at(dir / "purge");
  CHECK(journal->loaded().position->position == 4);
  CHECK_FALSE(journal->find("one")->has_value());
  for (const char* key : {"two", "three", "four"}) CHECK(journal->find(key)->has_value());
  CHECK(journal->loaded().boot == 2);
}

TEST_CASE("purge journal: what is damaged is set aside, and the boot number doesn't go back") {
  test::TempDir dir;
  {
    auto journal = open_at(dir / "purge");
    PurgeJournal::Changes changes;
    changes.position = edge::PurgePosition{.position = 9};
    REQUIRE(journal->apply(changes).ok());
  }
  for (const auto& file : std::filesystem::directory_iterator(dir / "purge")) {
    if (file.path().filename().string().starts_with("MANIFEST")) {
      std::ofstream(file.path()) << "no manifest";
    }
  }
  std::string why;
  auto opened = PurgeJournal::open(dir / "purge", &why, 70);
  REQUIRE(opened.ok());
  CHECK((*opened)->loaded().boot == 70);
  CHECK_FALSE((*opened)->loaded().position.has_value());
  CHECK(std::filesystem::exists(dir / "purge.set-aside-0"));
  // Where nothing can be made, nothing is moved.
  opened->reset();
  const auto none = PurgeJournal::open(dir / "purge", &why, 70, [] { return EIO; });
  CHECK_FALSE(none.ok());
  CHECK_FALSE(std::filesystem::exists(dir / "purge.set-aside-1"));
  CHECK(std::filesystem::exists(dir / "purge"));
}
