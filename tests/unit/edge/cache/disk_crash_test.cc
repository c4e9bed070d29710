// kill -9 at every step of a tier's writing: what was committed is there, whole; nothing else is.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/edge/cache/disk_rig.h"

using namespace bw;
using test::DiskRig;
using test::noise;

namespace {

constexpr uint64_t kObjects = 14;
ssize_t write_all(int fd, uint64_t id) { return ::write(fd, &id, sizeof id); }
size_t size_of(uint64_t id) { return id % 3 == 0 ? 3'000'000 : id % 3 == 1 ? 70'000 : 10; }

// In a child: stores objects, telling each that can be found, and is killed before its Nth change
// of the disk. Answers the objects it told.
uint64_t run_and_kill(edge::DiskOptions options, Clock& clock, int kill_at, uint64_t generation) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> left = kill_at;
    options.write_fault = [&left] {
      if (left.fetch_sub(1) == 0) kill(getpid(), SIGKILL);
      return 0;
    };
    std::string why;
    auto tier = edge::DiskTier::open(options, clock, &why);
    if (!tier.ok()) _exit(1);
    for (uint64_t id = 1; id <= kObjects; ++id) {
      auto write = (*tier)->begin_write(DiskRig::record(id, generation));
      if (write == nullptr || !write->append(Slice::copy_of(noise(id, size_of(id)))).ok()) _exit(1);
      std::promise<bool> done;
      write->commit([&](Status status) { done.set_value(status.ok()); });
      if (!done.get_future().get()) _exit(1);
      (*tier)->raise_pos(DiskRig::key(id), generation, 10 + id);
      if (id > 1) (*tier)->erase(DiskRig::key(1), generation);
      if (write_all(ends[1], id) != sizeof id) _exit(1);
    }
    _exit(0);
  }
  close(ends[1]);
  uint64_t told = 0;
  uint64_t last = 0;
  while (read(ends[0], &told, sizeof told) == sizeof told) last = told;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE((WIFSIGNALED(status) || WEXITSTATUS(status) == 0));
  return last;
}

}  // namespace

TEST_CASE("disk crash: kill -9 before each change of the disk loses nothing that was committed") {
  for (int step = 0; step < 90; step += step < 24 ? 2 : 9) {
    CAPTURE(step);
    DiskRig rig;
    const uint64_t last = run_and_kill(rig.options, rig.clock, step, 1);
    rig.open();
    REQUIRE(rig.tier->state() == edge::DiskState::ok);
    for (uint64_t id = 2; id <= kObjects; ++id) {
      const auto body = rig.body_of(id);
      if (id <= last) REQUIRE(body.has_value());
      if (body.has_value()) CHECK(*body == noise(id, size_of(id)));
    }
    CHECK(rig.tier->counters().checksum_failures == 0);
    CHECK(rig.set_aside() == 0);
    // It goes on where it stopped.
    for (uint64_t id = 1; id <= kObjects; ++id) {
      REQUIRE(rig.store(id, noise(id + 100, size_of(id)), 2).ok());
    }
    for (uint64_t id = 1; id <= kObjects; ++id) {
      CHECK(rig.body_of(id) == noise(id + 100, size_of(id)));
    }
  }
}

TEST_CASE("disk crash: kill -9 again and again, over reused segments, never shows a wrong body") {
  DiskRig rig;
  SeededRandom random(11);
  for (uint64_t generation = 1; generation <= 12; ++generation) {
    CAPTURE(generation);
    run_and_kill(rig.options, rig.clock, static_cast<int>(5 + random.below(80)), generation);
    rig.open();
    for (uint64_t id = 1; id <= kObjects; ++id) {
      const auto body = rig.body_of(id);
      if (body.has_value()) CHECK(*body == noise(id, size_of(id)));
    }
    rig.tier.reset();
  }
  rig.open();
  CHECK(rig.tier->counters().checksum_failures == 0);
}
