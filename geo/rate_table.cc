#include "geo/rate_table.h"

#include <algorithm>

#include "core/base/digest.h"

namespace bw::geo {
namespace {

constexpr int64_t kUnit_ns = 16'000;

}  // namespace

RateTable::RateTable(Rate rate, uint64_t seed) : seed_(seed) {
  if (rate.count == 0) return;
  const auto period = static_cast<uint64_t>(rate.per.count() / kUnit_ns);
  interval_ = std::max<uint64_t>(1, period / rate.count);
  burst_ = interval_ * (rate.count - 1);
  buckets_ = std::make_unique<Bucket[]>(kBuckets);
}

bool RateTable::allow(const net::Ip& ip, MonoTime now) {
  if (interval_ == 0) return true;
  std::array<char, 8> network{};
  const size_t size = ip.v6 ? 7 : 3;
  std::copy_n(ip.bytes.begin(), size, network.begin());
  network[7] = static_cast<char>(size);
  const uint64_t hash = xxh3_64(std::string_view(network.data(), network.size()), seed_);
  Bucket& bucket = buckets_[hash % kBuckets];
  constexpr uint64_t kTimeMask = (uint64_t{1} << kTimeBits) - 1;
  const uint64_t mark = hash & ~kTimeMask;
  const uint64_t time = static_cast<uint64_t>(now.ns / kUnit_ns) & kTimeMask;
  for (;;) {
    // An empty cell (0) is one whose time has passed.
    std::atomic<uint64_t>* cell = &bucket[0];
    uint64_t seen = cell->load(std::memory_order_relaxed);
    bool mine = (seen & ~kTimeMask) == mark;
    for (size_t way = 1; way < kWays && !mine; ++way) {
      const uint64_t other = bucket[way].load(std::memory_order_relaxed);
      mine = (other & ~kTimeMask) == mark;
      if (mine || (other & kTimeMask) < (seen & kTimeMask)) {
        cell = &bucket[way];
        seen = other;
      }
    }
    const uint64_t due = mine ? std::max(seen & kTimeMask, time) : time;
    if (due > time + burst_) return false;
    const uint64_t next = mark | ((due + interval_) & kTimeMask);
    if (cell->compare_exchange_weak(seen, next, std::memory_order_relaxed)) return true;
  }
}

}  // namespace bw::geo
