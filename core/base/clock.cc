#include "core/base/clock.h"

#include <sys/random.h>
#include <time.h>

#include "core/base/check.h"

namespace bw {
namespace {

int64_t read_clock(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

}  // namespace

MonoTime SystemClock::mono() const { return {read_clock(CLOCK_MONOTONIC)}; }
WallTime SystemClock::wall() const { return {read_clock(CLOCK_REALTIME)}; }

uint64_t SystemRandom::next() {
  uint64_t value = 0;
  BW_CHECK(getrandom(&value, sizeof value, 0) == sizeof value);
  return value;
}

uint64_t SeededRandom::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace bw
