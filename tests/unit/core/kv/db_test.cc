#include "core/kv/db.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>

#include "core/base/clock.h"
#include "tests/support/temp_dir.h"

using namespace bw;

namespace {

kv::Options options_at(const std::string& path) {
  kv::Options options;
  options.path = path;
  options.spaces = {{.name = "a", .droppable = {}}, {.name = "b", .droppable = {}}};
  options.memory = 16u << 20;
  return options;
}

std::unique_ptr<kv::Db> open_at(const std::string& path) {
  std::string why;
  auto db = kv::Db::open(options_at(path), &why);
  INFO(why);
  REQUIRE(db.ok());
  return std::move(*db);
}

}  // namespace

TEST_CASE("kv: what a batch put is there after a new open, and spaces are apart") {
  test::TempDir dir;
  {
    auto db = open_at(dir / "db");
    kv::Batch batch;
    batch.put(0, "k1", "v1");
    batch.put(1, "k1", "other");
    batch.put(0, "k2", std::string("\0x", 2));
    batch.erase(0, "k3");
    REQUIRE(db->write(batch, kv::Sync::now).ok());
  }
  auto db = open_at(dir / "db");
  CHECK(**db->get(0, "k1") == "v1");
  CHECK(**db->get(1, "k1") == "other");
  CHECK(**db->get(0, "k2") == std::string("\0x", 2));
  CHECK_FALSE(db->get(0, "k3")->has_value());
  CHECK((*db->last(0))->first == "k2");
}

TEST_CASE("kv: a scan visits its bounds in order and stops when told") {
  test::TempDir dir;
  auto db = open_at(dir / "db");
  kv::Batch batch;
  for (const char* key : {"d", "a", "c", "b"}) batch.put(0, key, "");
  REQUIRE(db->write(batch, kv::Sync::later).ok());
  std::string seen;
  const auto visit = [&](std::string_view key, std::string_view) {
    seen += key;
    return true;
  };
  REQUIRE(db->scan(0, "b", "d", visit).ok());
  CHECK(seen == "bc");
  seen.clear();
  REQUIRE(db->scan(0, "", "", [&](std::string_view key, std::string_view) {
              seen += key;
              return seen.size() < 3;
            }).ok());
  CHECK(seen == "abc");
  CHECK_FALSE((*db->last(1)).has_value());
}

TEST_CASE("kv: the first write error latches, and a new open finds all that was written before") {
  test::TempDir dir;
  std::atomic<int> fault = 0;
  kv::Options options = options_at(dir / "db");
  options.write_fault = [&] { return fault.load(); };
  std::string why;
  auto opened = kv::Db::open(options, &why);
  REQUIRE(opened.ok());
  kv::Batch batch;
  batch.put(0, "before", "1");
  REQUIRE((*opened)->write(batch, kv::Sync::later).ok());
  fault = ENOSPC;
  batch.clear();
  batch.put(0, "during", "1");
  const Status during = (*opened)->write(batch, kv::Sync::later);
  REQUIRE_FALSE(during.ok());
  CHECK(during.error().kind == Error::Kind::no_space);
  fault = 0;
  CHECK_FALSE((*opened)->write(batch, kv::Sync::later).ok());
  CHECK((*opened)->failed());
  opened = Error{};
  auto db = open_at(dir / "db");
  CHECK((*db->get(0, "before")).has_value());
  CHECK_FALSE((*db->get(0, "during")).has_value());
}

TEST_CASE("kv: a database in use is busy, a damaged one is corrupt, both say why") {
  test::TempDir dir;
  auto db = open_at(dir / "db");
  std::string why;
  const auto second = kv::Db::open(options_at(dir / "db"), &why);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().kind == Error::Kind::busy);
  CHECK(why.find(dir / "db") != std::string::npos);
  db.reset();
  std::ofstream(dir / "db/CURRENT") << "no manifest";
  const auto damaged = kv::Db::open(options_at(dir / "db"), &why);
  REQUIRE_FALSE(damaged.ok());
  CHECK(damaged.error().kind == Error::Kind::corrupt);
}

TEST_CASE("kv: a really full file system never aborts the process") {
  test::TempDir dir;
  if (!dir.mount_small("12m")) {
    WARN("may not mount: the seam's test stands alone");
    return;
  }
  std::string why;
  auto opened = kv::Db::open(options_at(dir / "db"), &why);
  REQUIRE(opened.ok());
  const std::string value(64 << 10, 'v');
  Status status;
  int written = 0;
  for (; written < 4000 && status.ok(); ++written) {
    kv::Batch batch;
    batch.put(0, std::to_string(written), value);
    status = (*opened)->write(batch, kv::Sync::later);
  }
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().kind == Error::Kind::no_space);
  CHECK(written > 10);
  opened = Error{};
}

TEST_CASE("kv: kill -9 between writes loses nothing that was written") {
  test::TempDir dir;
  SeededRandom random(7);
  uint64_t next = 0;
  for (int round = 0; round < 4; ++round) {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      std::string why;
      auto db = kv::Db::open(options_at(dir / "db"), &why);
      if (!db.ok()) _exit(1);
      for (uint64_t i = next;; ++i) {
        kv::Batch batch;
        batch.put(0, std::to_string(i), std::string(200, 'x'));
        batch.put(1, "newest", std::to_string(i));
        if (!(*db)->write(batch, kv::Sync::later).ok()) _exit(1);
        if (write(pipe_ends[1], &i, sizeof i) != sizeof i) _exit(1);
      }
    }
    close(pipe_ends[1]);
    const uint64_t until = next + 20 + random.below(2000);
    uint64_t told = 0;
    while (told < until && read(pipe_ends[0], &told, sizeof told) == sizeof told) {
    }
    kill(child, SIGKILL);
    while (read(pipe_ends[0], &told, sizeof told) == sizeof told) {
    }
    close(pipe_ends[0]);
    waitpid(child, nullptr, 0);
    auto db = open_at(dir / "db");
    const uint64_t newest = std::stoull(**db->get(1, "newest"));
    REQUIRE(newest >= told);
    for (uint64_t i = 0; i <= newest; ++i) REQUIRE((*db->get(0, std::to_string(i))).has_value());
    next = newest + 1;
  }
}

TEST_CASE("kv: droppable entries vanish when files are merged, the others stay") {
  test::TempDir dir;
  std::atomic<bool> drop = false;
  kv::Options options = options_at(dir / "db");
  options.memory = 1 << 20;
  options.spaces[0].droppable = [&](std::string_view key, std::string_view) {
    return drop && key.substr(0, 4) == "dead";
  };
  std::string why;
  auto db = kv::Db::open(options, &why);
  REQUIRE(db.ok());
  drop = true;
  const std::string value(1000, 'v');
  const auto write = [&](const std::string& name) {
    for (int i = 0; i < 100; ++i) {
      kv::Batch batch;
      batch.put(0, name + std::to_string(i), value);
      REQUIRE((*db)->write(batch, kv::Sync::later).ok());
    }
  };
  const auto left = [&](const std::string& name) {
    int count = 0;
    for (int i = 0; i < 100; ++i) {
      count += (*(*db)->get(0, name + std::to_string(i))).has_value() ? 1 : 0;
    }
    return count;
  };
  write("dead");
  CHECK(left("dead") == 100);
  // Enough churn that level 0, which these keys span, is merged; that happens beside us.
  for (int round = 0; round < 5'000 && left("dead") > 0; ++round) {
    write("alive");
    write("live");
  }
  CHECK(left("dead") == 0);
  CHECK(left("alive") == 100);
  CHECK(left("live") == 100);
}
