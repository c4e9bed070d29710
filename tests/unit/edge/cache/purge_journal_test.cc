#include "edge/cache/purge_journal.h"

#include <catch2/catch.hpp>

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
