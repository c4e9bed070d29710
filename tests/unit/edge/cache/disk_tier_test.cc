#include "edge/cache/disk_tier.h"

#include "tests/unit/edge/cache/disk_rig.h"

using namespace bw;
using edge::DiskState;
using test::DiskRig;
using test::noise;

TEST_CASE("disk: bodies of every size come back exactly, also after a new start") {
  const size_t sizes[] = {0,       1,         65'535,    65'536,    200'000,
                          262'144, 1'048'575, 1'048'576, 1'048'577, 3 * 1'048'576 + 5};
  DiskRig rig;
  rig.open();
  uint64_t id = 0;
  for (const size_t size : sizes) {
    ++id;
    REQUIRE(rig.store(id, noise(id, size)).ok());
  }
  for (int round = 0; round < 2; ++round) {
    id = 0;
    for (const size_t size : sizes) {
      CAPTURE(size, round);
      auto found = rig.find(++id);
      REQUIRE(found.ok());
      const edge::DiskRecord& record = found->record();
      CHECK(record.key == DiskRig::key(id));
      CHECK(record.meta == "meta of " + std::to_string(id));
      CHECK(record.pos == 10);
      CHECK(record.generation == 1);
      CHECK(record.expiry == -5);
      REQUIRE(record.body_size == size);
      auto body = DiskRig::read_all(*found);
      REQUIRE(body.ok());
      CHECK(*body == noise(id, size));
    }
    CHECK(rig.tier->counters().objects == std::size(sizes));
    rig.open();
  }
  CHECK(rig.tier->counters().checksum_failures == 0);
}

TEST_CASE("disk: a range is read without the rest, and a read never crosses a piece") {
  DiskRig rig;
  rig.open();
  const std::string body = noise(4, 5'000'000);
  REQUIRE(rig.store(1, body).ok());
  auto found = rig.find(1);
  REQUIRE(found.ok());
  for (const uint64_t offset : {0, 1, 65'535, 1'048'575, 1'048'576, 2'500'000, 4'999'999}) {
    for (const size_t length : {1, 10, 70'000, 10'000'000}) {
      CAPTURE(offset, length);
      auto part = DiskRig::read(*found, offset, length);
      REQUIRE(part.ok());
      CHECK(part->size() <= 1u << 20);
      CHECK(*part == body.substr(offset, part->size()));
      if (length <= 10 && offset != 65'535 && offset != 1'048'575) {
        CHECK(part->size() == std::min<uint64_t>(length, body.size() - offset));
      }
    }
  }
}

TEST_CASE("disk: what isn't committed can't be found, nor what only shares the hash") {
  DiskRig rig;
  rig.open();
  {
    auto write = rig.tier->begin_write(DiskRig::record(1));
    REQUIRE(write->append(Slice::copy_of(noise(1, 2'000'000))).ok());
  }
  rig.flush();
  CHECK_FALSE(rig.find(1).ok());
  REQUIRE(rig.store(2, "two").ok());
  auto other = rig.find(DiskRig::key(2), "another text");
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().kind == Error::Kind::not_found);
  CHECK(rig.body_of(2) == "two");
  CHECK(rig.tier->counters().queued_bytes == 0);
}

TEST_CASE("disk: an object never replaces one whose fetch began later") {
  DiskRig rig;
  rig.open();
  REQUIRE(rig.store(1, "second", 2).ok());
  const Status older = rig.store(1, "first", 1);
  REQUIRE_FALSE(older.ok());
  CHECK(older.error().kind == Error::Kind::exists);
  CHECK(rig.body_of(1) == "second");
  REQUIRE(rig.store(1, "third", 3).ok());
  CHECK(rig.body_of(1) == "third");
  CHECK(rig.tier->counters().objects == 1);
  rig.tier->erase(DiskRig::key(1), 2);
  rig.flush();
  CHECK(rig.body_of(1) == "third");
  rig.tier->erase(DiskRig::key(1), 3);
  rig.flush();
  CHECK_FALSE(rig.find(1).ok());
  CHECK(rig.tier->counters().objects == 0);
}

TEST_CASE("disk: a position is raised for its generation only, never lowered, and stays") {
  DiskRig rig;
  rig.open();
  REQUIRE(rig.store(1, "body", 2).ok());
  rig.tier->raise_pos(DiskRig::key(1), 1, 99);
  rig.tier->raise_pos(DiskRig::key(1), 2, 30);
  rig.tier->raise_pos(DiskRig::key(1), 2, 20);
  rig.tier->raise_pos(DiskRig::key(7), 2, 20);
  rig.flush();
  CHECK(rig.find(1)->record().pos == 30);
  rig.open();
  CHECK(rig.find(1)->record().pos == 30);
  REQUIRE(rig.store(1, "younger", 3).ok());
  CHECK(rig.find(1)->record().pos == 10);
}

TEST_CASE("disk: the oldest segment goes for the newest object, and the size is kept") {
  DiskRig rig;
  rig.open();
  const size_t size = 2'500'000;
  uint64_t id = 0;
  while (id < 60) {
    ++id;
    REQUIRE(rig.store(id, noise(id, size)).ok());
  }
  const auto check = [&] {
    const auto counters = rig.tier->counters();
    CHECK(counters.used <= DiskRig::kSize);
    uint64_t found = 0;
    for (uint64_t at = 1; at <= id; ++at) {
      const auto body = rig.body_of(at);
      found += body.has_value() ? 1 : 0;
      if (body.has_value()) CHECK(*body == noise(at, size));
      // Oldest first: what is gone is a prefix.
      if (found > 0) CHECK(body.has_value());
    }
    CHECK(found >= 18);
    CHECK(found == counters.objects);
  };
  check();
  CHECK(rig.tier->counters().evicted_segments > 0);
  rig.open();
  check();
  uint64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(rig.options.path + "/segments")) {
    CHECK(entry.file_size() == 16u << 20);
    ++files;
  }
  CHECK(files == 4);
}

TEST_CASE("disk: a body whose segment goes while it is read ends in an error, never early") {
  DiskRig rig;
  rig.open();
  const std::string body = noise(1, 8'000'000);
  REQUIRE(rig.store(1, body).ok());
  auto found = rig.find(1);
  REQUIRE(found.ok());
  REQUIRE(*DiskRig::read(*found, 0, 100'000) == body.substr(0, 65'536));
  for (uint64_t id = 2; id < 12; ++id) REQUIRE(rig.store(id, noise(id, 8'000'000)).ok());
  const auto part = DiskRig::read(*found, 65'536, 100'000);
  REQUIRE_FALSE(part.ok());
  CHECK(part.error().kind == Error::Kind::not_found);
  CHECK(rig.find(1).error().kind == Error::Kind::not_found);
  CHECK(rig.tier->counters().checksum_failures == 0);
}

TEST_CASE("disk: an object over a quarter of the tier is refused, before or when it shows") {
  DiskRig rig;
  rig.open();
  CHECK(rig.tier->max_object() == 16u << 20);
  Error why;
  CHECK(rig.tier->begin_write(DiskRig::record(1), (16u << 20) + 1, &why) == nullptr);
  CHECK(why.kind == Error::Kind::too_large);
  CHECK(rig.store(1, noise(1, (16u << 20) + 1)).error().kind == Error::Kind::too_large);
  CHECK(rig.store(1, noise(1, 16u << 20)).ok());
  CHECK(rig.tier->counters().refused == 2);
  rig.flush();
  CHECK(rig.tier->counters().queued_bytes == 0);
}

TEST_CASE("disk: a full queue refuses and counts, and nobody waits for the disk") {
  DiskRig rig;
  test::Gate gate;
  rig.options.queue_bytes = 4u << 20;
  rig.options.write_fault = [&] {
    gate.pass();
    return 0;
  };
  rig.open();
  gate.shut();
  auto write = rig.tier->begin_write(DiskRig::record(1));
  Status status;
  size_t taken = 0;
  for (; status.ok() && taken < 100; ++taken) {
    status = write->append(Slice::copy_of(noise(taken, 300'000)));
  }
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().kind == Error::Kind::busy);
  CHECK(taken == 14);
  CHECK(rig.tier->counters().refused == 1);
  write.reset();
  gate.open();
  rig.flush();
  CHECK(rig.tier->counters().queued_bytes == 0);
  CHECK(rig.store(2, "small").ok());
}

TEST_CASE("disk: second_hit lets a key in at its second miss once the disk is 90 % full") {
  DiskRig rig;
  rig.options.admission = edge::DiskAdmission::second_hit;
  rig.open();
  uint64_t id = 0;
  while (rig.tier->counters().not_admitted == 0) {
    REQUIRE(++id < 40);
    const Status stored = rig.store(id, noise(id, 2'000'000));
    if (!stored.ok()) REQUIRE(stored.error().kind == Error::Kind::refused);
  }
  CHECK(rig.tier->counters().used > DiskRig::kSize / 10 * 9);
  CHECK_FALSE(rig.find(id).ok());
  REQUIRE(rig.store(id, "again").ok());
  CHECK(rig.body_of(id) == "again");
}

TEST_CASE("disk: a tier made larger keeps its objects, one made much smaller forgets them") {
  DiskRig rig;
  rig.options.size = 2048u << 20;
  rig.open();
  REQUIRE(rig.store(1, noise(1, 3'000'000)).ok());
  rig.options.size = 4096ull << 20;
  rig.open();
  CHECK(rig.body_of(1) == noise(1, 3'000'000));
  rig.options.size = 64u << 20;
  rig.open();
  rig.options.size = 100ull << 30;
  rig.open();
  CHECK_FALSE(rig.find(1).ok());
  REQUIRE(rig.store(2, noise(2, 3'000'000)).ok());
  CHECK(rig.body_of(2) == noise(2, 3'000'000));
}

TEST_CASE("disk: slices of any size make the same body") {
  DiskRig rig;
  rig.open();
  const std::string body = noise(1, 2'300'000);
  uint64_t id = 0;
  for (const size_t step : {1'000, 16'383, 16'384, 70'000, 2'000'000}) {
    CAPTURE(step);
    ++id;
    REQUIRE(rig.store(id, body, 1, step).ok());
    CHECK(rig.body_of(id) == body);
  }
  ++id;
  auto write = rig.tier->begin_write(DiskRig::record(id));
  SeededRandom random(3);
  for (size_t at = 0; at < body.size();) {
    const size_t size = std::min<size_t>(body.size() - at, 1 + random.below(1 << random.below(18)));
    REQUIRE(write->append(Slice::copy_of(body.substr(at, size))).ok());
    at += size;
  }
  write->commit();
  rig.flush();
  CHECK(rig.body_of(id) == body);
}
