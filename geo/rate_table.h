// RateTable: how many answers a network may get without proving its address (response rate limit).
//
// GCRA: one time a network, from which it may be answered again. Threads: any; cells are atomic and
// a lost race costs one decision. Bounds: 2 MiB; a full bucket forgets the network that may be
// answered soonest, so forgetting idle ones never changes a decision. See: design of limits.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "core/base/clock.h"
#include "core/base/quantity.h"
#include "core/net/address.h"

namespace bw::geo {

class RateTable {
 public:
  // `rate`: its count may also come at once. Count 0: no limit. `seed`: makes collisions
  // unpredictable.
  RateTable(Rate rate, uint64_t seed);
  // Whether the /24 or /56 of `ip` may get one more answer; counts it.
  bool allow(const net::Ip& ip, MonoTime now);

 private:
  static constexpr size_t kWays = 4;
  static constexpr size_t kBuckets = 1 << 16;
  // The upper 20 bits tell networks apart, the lower 44 are a time in units of 16 µs.
  static constexpr unsigned kTimeBits = 44;
  using Bucket = std::array<std::atomic<uint64_t>, kWays>;

  uint64_t interval_ = 0;  // units between answers; 0: no limit
  uint64_t burst_ = 0;     // units that may be borrowed
  uint64_t seed_;
  std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace bw::geo
