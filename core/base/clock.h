// Time and randomness as the programs see them: passed in from main, so that tests own them.
//
// Threads: SystemClock and SystemRandom may be used from any thread. Times are nanoseconds.
#pragma once

#include <chrono>
#include <cstdint>

namespace bw {

using Duration = std::chrono::nanoseconds;

// Monotonic: for ages, deadlines, limits. Its zero means nothing.
struct MonoTime {
  int64_t ns = 0;
  friend auto operator<=>(const MonoTime&, const MonoTime&) = default;
  friend MonoTime operator+(MonoTime t, Duration d) { return {t.ns + d.count()}; }
  friend MonoTime operator-(MonoTime t, Duration d) { return {t.ns - d.count()}; }
  friend Duration operator-(MonoTime a, MonoTime b) { return Duration(a.ns - b.ns); }
};

// Wall clock since 1970 UTC: for Date, Expires, logs. May jump.
struct WallTime {
  int64_t ns = 0;
  int64_t seconds() const { return ns / 1'000'000'000; }
  int64_t ms() const { return ns / 1'000'000; }
  friend auto operator<=>(const WallTime&, const WallTime&) = default;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonoTime mono() const = 0;
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonoTime mono() const override;
  WallTime wall() const override;
};

// A clock that a test moves.
class ManualClock final : public Clock {
 public:
  MonoTime mono() const override { return mono_; }
  WallTime wall() const override { return wall_; }
  void advance(Duration d) {
    mono_ = mono_ + d;
    wall_.ns += d.count();
  }
  void set_wall(WallTime t) { wall_ = t; }

 private:
  MonoTime mono_{1'000'000'000};
  WallTime wall_{1'700'000'000'000'000'000};
};

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t next() = 0;
  // Uniform in [0, bound); bound > 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
};

// The kernel's randomness: secrets, seeds, identifiers.
class SystemRandom final : public Random {
 public:
  uint64_t next() override;
};

// Repeatable: tests and schedules (splitmix64).
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t next() override;

 private:
  uint64_t state_;
};

}  // namespace bw
