// What a disk can do to a tier: full, broken, rotten, hung, foreign, shared.
#include <unistd.h>

#include <fstream>

#include "edge/cache/segment.h"
#include "tests/unit/edge/cache/disk_rig.h"

using namespace bw;
using edge::DiskState;
using test::DiskRig;
using test::noise;

namespace {

// Flips one bit of the first place in the segments where these bytes stand.
void rot(const DiskRig& rig, std::string_view bytes, size_t skip = 0) {
  for (const auto& entry : std::filesystem::directory_iterator(rig.options.path + "/segments")) {
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::string all(std::istreambuf_iterator<char>(file), {});
    const size_t at = all.find(bytes);
    if (at == std::string::npos) continue;
    file.clear();
    file.seekp(static_cast<std::streamoff>(at + skip));
    file.put(static_cast<char>(all[at + skip] ^ 1));
    return;
  }
  FAIL("bytes are in no segment");
}

}  // namespace

TEST_CASE("disk faults: one rotten bit is a miss, counted, and the object goes") {
  DiskRig rig;
  rig.open();
  REQUIRE(rig.store(1, noise(1, 100'000)).ok());
  REQUIRE(rig.store(2, noise(2, 100'000)).ok());
  rot(rig, std::string_view(noise(1, 100'000)).substr(0, 64), 30);
  CHECK(rig.find(1).error().kind == Error::Kind::not_found);
  CHECK(rig.tier->counters().checksum_failures == 1);
  rig.flush();
  CHECK(rig.tier->counters().objects == 1);
  CHECK(rig.find(1).error().kind == Error::Kind::not_found);
  CHECK(rig.tier->counters().checksum_failures == 1);
  CHECK(rig.body_of(2) == noise(2, 100'000));
  // In the head.
  rot(rig, "meta of 2");
  CHECK_FALSE(rig.find(2).ok());
  CHECK(rig.tier->counters().checksum_failures == 2);
  CHECK(rig.tier->state() == DiskState::ok);
}

TEST_CASE("disk faults: rot in a later piece breaks the read there and removes the object") {
  DiskRig rig;
  rig.open();
  const std::string body = noise(1, 3'000'000);
  REQUIRE(rig.store(1, body).ok());
  rot(rig, std::string_view(body).substr(1'500'000, 64));
  auto found = rig.find(1);
  REQUIRE(found.ok());
  CHECK(DiskRig::read(*found, 0, 1000).ok());
  CHECK(DiskRig::read(*found, 2'500'000, 1000).ok());
  const auto part = DiskRig::read(*found, 1'490'000, 1000);
  REQUIRE_FALSE(part.ok());
  CHECK(part.error().kind == Error::Kind::corrupt);
  rig.flush();
  CHECK_FALSE(rig.find(1).ok());
}

TEST_CASE("disk faults: a segment file that was cut off loses its objects and nothing else") {
  DiskRig rig;
  rig.open();
  REQUIRE(rig.store(1, noise(1, 8'000'000)).ok());
  std::filesystem::resize_file(rig.options.path + "/segments/000000", 4'000'000);
  CHECK_FALSE(rig.body_of(1).has_value());
  REQUIRE(rig.store(2, noise(2, 100)).ok());
  rig.open();
  CHECK(rig.tier->state() == DiskState::ok);
  CHECK_FALSE(rig.find(1).ok());
  REQUIRE(rig.store(3, noise(3, 8'000'000)).ok());
  CHECK(rig.body_of(3) == noise(3, 8'000'000));
}

TEST_CASE("disk faults: more than ten failures in a minute turn the tier off, and it comes back") {
  DiskRig rig;
  std::atomic<int> fault = 0;
  rig.options.read_fault = [&] { return fault.load(); };
  rig.open();
  for (uint64_t id = 1; id <= 12; ++id) REQUIRE(rig.store(id, "body").ok());
  fault = EIO;
  for (uint64_t id = 1; id <= 11; ++id) CHECK_FALSE(rig.find(id).ok());
  CHECK(rig.tier->counters().checksum_failures == 11);
  fault = 0;
  rig.wait_state(DiskState::ok);
  CHECK(rig.tier->counters().reopened == 1);
  CHECK(rig.body_of(12) == "body");
}

TEST_CASE("disk faults: a full disk in any operation never ends the tier or spoils an object") {
  for (const int code : {ENOSPC, EIO}) {
    for (int step = 0; step < 40; step += step < 12 ? 1 : 4) {
      CAPTURE(code, step);
      DiskRig rig;
      std::atomic<int> left = 1 << 30;
      std::atomic<bool> fell = false;
      rig.options.write_fault = [&] {
        if (left.fetch_sub(1) != 0) return 0;
        fell = true;
        return code;
      };
      rig.open();
      REQUIRE(rig.store(1, noise(1, 2'100'000)).ok());
      left = step;
      std::optional<uint64_t> stored;
      for (uint64_t id = 2; id < 12 && !fell; ++id) {
        if (rig.store(id, noise(id, 2'100'000)).ok()) stored = id;
      }
      REQUIRE(fell);
      // A fault in a thread of RocksDB's is noticed by the next write: from then on the tier is off
      // until it was opened anew.
      Status status;
      while (!(status = rig.store(20, noise(20, 2'100'000))).ok()) {
        REQUIRE(status.error().kind != Error::Kind::exists);
      }
      rig.wait_state(DiskState::ok);
      for (uint64_t id = 1; id < 12; ++id) {
        const auto body = rig.body_of(id);
        if (body.has_value()) CHECK(*body == noise(id, 2'100'000));
        // Room is given back a segment at a time; a broken write costs nothing that was written.
        if (code == EIO && (id == 1 || id == stored)) CHECK(body.has_value());
      }
      CHECK(rig.body_of(20) == noise(20, 2'100'000));
      CHECK(rig.tier->counters().queued_bytes == 0);
      CHECK(rig.set_aside() == 0);
    }
  }
}

TEST_CASE("disk faults: a disk that stays full makes misses and refusals, and says why") {
  DiskRig rig;
  std::atomic<int> fault = ENOSPC;
  rig.options.write_fault = [&] { return fault.load(); };
  rig.open();
  CHECK(rig.tier->state() != DiskState::ok);
  CHECK_FALSE(rig.tier->reason().empty());
  CHECK(rig.tier->begin_write(DiskRig::record(1)) == nullptr);
  CHECK(rig.find(1).error().kind == Error::Kind::io);
  rig.flush();
  fault = 0;
  rig.wait_state(DiskState::ok);
  CHECK(rig.tier->reason().empty());
  CHECK(rig.store(1, "body").ok());
}

TEST_CASE(
    "disk faults: what was to be erased or replaced while the disk was off doesn't come back") {
  DiskRig rig;
  std::atomic<int> fault = 0;
  rig.options.write_fault = [&] { return fault.load(); };
  rig.open();
  for (uint64_t id = 1; id <= 3; ++id) REQUIRE(rig.store(id, "old").ok());
  auto begun = rig.tier->begin_write(DiskRig::record(3, 2));
  REQUIRE(begun->append(Slice::of_static("new")).ok());
  fault = EIO;
  CHECK_FALSE(rig.store(1, "new", 2).ok());
  while (rig.tier->state() == DiskState::ok) std::this_thread::yield();
  rig.tier->erase(DiskRig::key(2), 2);
  begun->commit();
  fault = 0;
  rig.wait_state(DiskState::ok);
  rig.flush();
  for (uint64_t id = 1; id <= 3; ++id) CHECK_FALSE(rig.find(id).ok());
}

TEST_CASE("disk faults: more erases than are remembered while the disk is off empty the tier") {
  DiskRig rig;
  std::atomic<int> fault = 0;
  rig.options.write_fault = [&] { return fault.load(); };
  rig.open();
  for (uint64_t id = 1; id <= 3; ++id) REQUIRE(rig.store(id, "old").ok());
  fault = EIO;
  CHECK_FALSE(rig.store(4, "new").ok());
  while (rig.tier->state() == DiskState::ok) std::this_thread::yield();
  for (uint64_t id = 100; id < 100 + 70'000; ++id) rig.tier->erase(DiskRig::key(id), 1);
  rig.tier->erase(DiskRig::key(2), 1);
  fault = 0;
  rig.wait_state(DiskState::ok);
  rig.flush();
  CHECK_FALSE(rig.find(2).ok());
  REQUIRE(rig.store(2, "younger", 2).ok());
  CHECK(rig.find(2).ok());
  rig.open();
  CHECK(rig.find(2).ok());
  CHECK_FALSE(rig.find(1).ok());
}

TEST_CASE("disk faults: raises leave room for erases, so that many of them empty nothing") {
  DiskRig rig;
  std::atomic<int> fault = 0;
  test::Gate gate;
  rig.options.write_fault = [&] {
    gate.pass();
    return fault.load();
  };
  rig.open();
  for (uint64_t id = 1; id <= 2; ++id) REQUIRE(rig.store(id, "old").ok());
  gate.shut();
  rig.tier->erase(DiskRig::key(2), 1);
  gate.wait_held();
  for (uint64_t id = 0; id < 70'000; ++id) rig.tier->raise_pos(DiskRig::key(1), 1, id);
  rig.tier->erase(DiskRig::key(3), 1);
  gate.open();
  rig.flush();
  CHECK(rig.tier->state() == DiskState::ok);
  CHECK(rig.find(1).ok());
  CHECK_FALSE(rig.find(2).ok());
}

TEST_CASE("disk faults: on a really small file system the oldest segment is reused") {
  DiskRig rig;
  if (!rig.dir.mount_small("72m")) {
    WARN("may not mount: the seam's test stands alone");
    return;
  }
  rig.options.size = 256u << 20;
  rig.open();
  for (uint64_t id = 1; id <= 40; ++id) {
    CAPTURE(id);
    Status status;
    while (!(status = rig.store(id, noise(id, 2'000'000))).ok()) {
      REQUIRE(status.error().kind != Error::Kind::exists);
    }
    CHECK(rig.body_of(id) == noise(id, 2'000'000));
  }
  CHECK(rig.tier->counters().evicted_segments > 0);
}

TEST_CASE("disk faults: a read that hangs is answered, turns the tier off, and harms nobody") {
  DiskRig rig;
  test::Gate gate;
  rig.options.readers = 1;
  rig.options.read_fault = [&] {
    gate.pass();
    return 0;
  };
  rig.open();
  REQUIRE(rig.store(1, "body").ok());
  gate.shut();
  std::promise<Error> hung;
  std::promise<Error> late;
  rig.tier->find(DiskRig::key(1), DiskRig::canonical(1),
                 [&](Result<edge::DiskObject> found) { hung.set_value(found.error()); });
  gate.wait_held();
  rig.tier->find(DiskRig::key(1), DiskRig::canonical(1),
                 [&](Result<edge::DiskObject> found) { late.set_value(found.error()); });
  rig.clock.advance(std::chrono::milliseconds(60));
  CHECK(late.get_future().get().kind == Error::Kind::busy);
  rig.clock.advance(std::chrono::seconds(3));
  CHECK(hung.get_future().get().kind == Error::Kind::io);
  gate.open();
  while (rig.tier->counters().reopened == 0) std::this_thread::yield();
  rig.wait_state(DiskState::ok);
  CHECK(rig.body_of(1) == "body");
}

TEST_CASE("disk faults: what another format left is set aside, other names are left alone") {
  DiskRig rig;
  std::filesystem::create_directories(rig.options.path + "/segments");
  std::ofstream(rig.options.path + "/segments/000000") << "not ours";
  std::ofstream(rig.options.path + "/format") << "somebody else's cache\n";
  std::ofstream(rig.options.path + "/precious") << "a file of the user";
  rig.open();
  CHECK(rig.tier->state() == DiskState::ok);
  CHECK(rig.set_aside() == 2);
  CHECK(std::filesystem::exists(rig.options.path + "/precious"));
  bool kept = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(rig.options.path)) {
    if (entry.path().filename() != "000000") continue;
    std::ifstream file(entry.path());
    std::string word;
    file >> word;
    kept = kept || word == "not";
  }
  CHECK(kept);
  REQUIRE(rig.store(1, "body").ok());
  // Beside our segments.
  rig.tier.reset();
  std::ofstream(rig.options.path + "/segments/holiday.jpg") << "picture";
  std::filesystem::create_directory(rig.options.path + "/segments/000003");
  rig.open();
  CHECK(rig.set_aside() == 4);
  CHECK(rig.body_of(1) == "body");
}

TEST_CASE("disk faults: a damaged catalogue is set aside and the tier starts empty") {
  DiskRig rig;
  rig.open();
  REQUIRE(rig.store(1, "body").ok());
  rig.tier.reset();
  SECTION("its head is garbage") {
    std::ofstream(rig.options.path + "/index/CURRENT") << "garbage";
  }
  SECTION("its manifest is gone") {
    for (const auto& entry : std::filesystem::directory_iterator(rig.options.path + "/index")) {
      if (entry.path().filename().string().starts_with("MANIFEST")) {
        std::filesystem::remove(entry.path());
      }
    }
  }
  rig.open();
  rig.wait_state(DiskState::ok);
  CHECK(rig.set_aside() == 1);
  CHECK_FALSE(rig.find(1).ok());
  REQUIRE(rig.store(1, "again").ok());
  CHECK(rig.body_of(1) == "again");
}

TEST_CASE("disk faults: a directory in use, unwritable or too small is one clear error") {
  DiskRig rig;
  rig.open();
  std::string why;
  auto second = edge::DiskTier::open(rig.options, rig.clock, &why);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().kind == Error::Kind::busy);
  CHECK(why == rig.options.path + ": another process uses this cache directory");

  edge::DiskOptions options = rig.options;
  options.path = rig.dir / "file";
  std::ofstream(options.path) << "no folder";
  auto file = edge::DiskTier::open(options, rig.clock, &why);
  REQUIRE_FALSE(file.ok());
  CHECK(why.find("cannot be used") != std::string::npos);

  options.path = rig.dir / "read-only";
  options.write_fault = [] { return EROFS; };
  auto unwritable = edge::DiskTier::open(options, rig.clock, &why);
  REQUIRE_FALSE(unwritable.ok());
  CHECK(why.find("cannot be written: Read-only file system") != std::string::npos);

  options.size = 1u << 20;
  CHECK_FALSE(edge::DiskTier::open(options, rig.clock, &why).ok());
}
