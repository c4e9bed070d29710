#include "purge/log_writer.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/purge/service_rig.h"

using namespace bw;
using namespace bw::purge;

namespace {

std::vector<Record> tag(const std::string& text, size_t count = 1) {
  Record record;
  record.site = "shop";
  record.text = text;
  return std::vector<Record>(count, record);
}

struct WriterRig {
  test::TempDir dir;
  ManualClock clock;
  SeededRandom random{3};
  net::Loop loop{clock};
  DiskGate gate;
  std::unique_ptr<LogWriter> writer;
  std::vector<std::string> told;

  WriterRig() { open(); }
  void open() {
    std::string why;
    auto file = open_log_folder(dir / "log", &why);
    INFO(why);
    REQUIRE(file.ok());
    auto opened = LogStore::open(std::make_unique<GatedFile>(std::move(*file), gate), random, &why);
    REQUIRE(opened.ok());
    for (const Record& record : opened->records) told.push_back("kept " + record.text);
    const uint32_t epoch = opened->store->end().position.epoch() + 1;
    REQUIRE(opened->store->open_epoch(epoch, true, 0).ok());
    writer = std::make_unique<LogWriter>(loop, std::move(opened->store));
  }
  LogWriter::Done note(const std::string& name) {
    return [this, name](Result<std::vector<Record>> records) {
      told.push_back(name + (records.ok() ? " " + records->back().position.text() : " failed"));
    };
  }
  void until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done() && std::chrono::steady_clock::now() < end) loop.turn(false);
    REQUIRE(done());
  }
};

}  // namespace

TEST_CASE("log writer: what waits together is synced together, and told in the log's order") {
  WriterRig rig;
  rig.gate.hold(true);
  REQUIRE(rig.writer->submit(tag("a"), rig.note("a")).ok());
  rig.until([&] { return rig.gate.count_waiting() == 1; });
  const int before = rig.gate.count_syncs();
  REQUIRE(rig.writer->submit(tag("b", 2), rig.note("b")).ok());
  REQUIRE(rig.writer->submit(tag("c"), rig.note("c")).ok());
  REQUIRE(rig.writer->submit_epoch(7, 0, rig.note("epoch")).ok());
  REQUIRE(rig.writer->submit(tag("d"), rig.note("d")).ok());
  rig.gate.hold(false);
  rig.until([&] { return rig.told.size() == 5; });
  CHECK(rig.told == std::vector<std::string>{"a 1.2", "b 1.4", "c 1.5", "epoch 8.6", "d 8.7"});
  CHECK(rig.gate.count_syncs() - before == 4);  // a; b and c; the epoch; d
}

TEST_CASE("log writer: a failed sync fails all that waited for it, and no position is used") {
  WriterRig rig;
  rig.gate.fail(true);
  REQUIRE(rig.writer->submit(tag("a"), rig.note("a")).ok());
  rig.until([&] { return rig.told.size() == 1; });
  rig.gate.fail(false);
  REQUIRE(rig.writer->submit(tag("b"), rig.note("b")).ok());
  rig.until([&] { return rig.told.size() == 2; });
  CHECK(rig.told == std::vector<std::string>{"a failed", "b 1.2"});
}

TEST_CASE("log writer: more than it may hold is refused at once") {
  WriterRig rig;
  rig.gate.hold(true);
  REQUIRE(rig.writer->submit(tag("first"), rig.note("first")).ok());
  rig.until([&] { return rig.gate.count_waiting() == 1; });
  size_t taken = 0;
  while (rig.writer->submit(tag("x", 500), [](const auto&) {}).ok()) taken += 500;
  CHECK(taken == LogWriter::kMaxWaiting);
  rig.gate.hold(false);
}

TEST_CASE("log writer: its end finishes what was submitted") {
  WriterRig rig;
  rig.gate.hold(true);
  for (const char* name : {"a", "b", "c"}) {
    REQUIRE(rig.writer->submit(tag(name), rig.note(name)).ok());
  }
  rig.gate.hold(false);
  rig.writer.reset();
  rig.until([&] { return rig.told.size() == 3; });
  rig.told.clear();
  rig.open();
  CHECK(rig.told.size() == 4);
  CHECK(rig.told.back() == "kept c");
}

TEST_CASE("log folder: made when it's missing, held by one process at a time") {
  test::TempDir dir;
  std::string why;
  auto first = open_log_folder(dir / "a/b", &why);
  REQUIRE(first.ok());
  REQUIRE((*first)->write(0, "hello").ok());
  REQUIRE((*first)->sync().ok());
  const auto second = open_log_folder(dir / "a/b", &why);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().kind == Error::Kind::exists);
  CHECK(why.find("held by another process") != std::string::npos);
  REQUIRE((*first)->truncate(4).ok());
  *first = nullptr;
  const auto third = open_log_folder(dir / "a/b", &why);
  REQUIRE(third.ok());
  CHECK(*(*third)->read_all() == "hell");
}

TEST_CASE("log folder: what can't be a folder is one line that names it") {
  test::TempDir dir;
  std::ofstream(dir / "file") << "x";
  std::string why;
  CHECK_FALSE(open_log_folder(dir / "file/log", &why).ok());
  CHECK(why.find("file/log") != std::string::npos);
  std::filesystem::create_directories(dir / "log/records.log");
  CHECK_FALSE(open_log_folder(dir / "log", &why).ok());
  CHECK(why.find("records.log") != std::string::npos);
}

TEST_CASE("registry file: damaged, it is refused by name instead of forgetting the nodes") {
  test::TempDir dir;
  std::string why;
  auto file = open_log_folder(dir.path(), &why);
  REQUIRE(file.ok());
  std::ofstream(registry_file(dir.path())) << "{\"nodes\":[{";
  ManualClock clock;
  SeededRandom random{3};
  LogView log;
  Registry nodes({});
  CHECK_FALSE(open_state(std::move(*file), dir.path(), clock, random, log, nodes, &why).ok());
  CHECK(why.find("nodes.json") != std::string::npos);
}

TEST_CASE("registry file: one that cannot be read is refused, as its nodes must be waited for") {
  test::TempDir dir;
  std::string why;
  auto file = open_log_folder(dir.path(), &why);
  REQUIRE(file.ok());
  std::filesystem::create_directory(registry_file(dir.path()));
  ManualClock clock;
  SeededRandom random{3};
  LogView log;
  Registry nodes({});
  CHECK_FALSE(open_state(std::move(*file), dir.path(), clock, random, log, nodes, &why).ok());
  CHECK(why.find("nodes.json") != std::string::npos);
}

TEST_CASE("epoch: a start that fails takes none; one that serves takes the next") {
  test::TempDir dir;
  ManualClock clock;
  SeededRandom random{3};
  std::string why;
  const auto opened = [&](LogView& log) {
    Registry nodes({});
    auto file = open_log_folder(dir.path(), &why);
    REQUIRE(file.ok());
    auto store = open_state(std::move(*file), dir.path(), clock, random, log, nodes, &why);
    REQUIRE(store.ok());
    return std::move(*store);
  };
  for (int i = 0; i < 3; ++i) {
    LogView log;
    (void)opened(log);
    CHECK(log.empty());
  }
  net::Loop loop{clock};
  for (uint32_t epoch = 1; epoch < 3; ++epoch) {
    LogView log;
    LogWriter writer(loop, opened(log));
    REQUIRE(begin_epoch(writer, dir.path(), clock, log, &why).ok());
    CHECK(log.end().position == Position::of(epoch, epoch));
  }
  {
    LogView log;
    auto store = opened(log);
    REQUIRE(store->open_epoch(Position::kMaxEpoch, false, 0).ok());
  }
  LogView log;
  LogWriter writer(loop, opened(log));
  CHECK_FALSE(begin_epoch(writer, dir.path(), clock, log, &why).ok());
  CHECK(why.find("epochs are used up") != std::string::npos);
}
