#pragma once
// Counts of durations in buckets that grow with them: 64 to a doubling, so a percentile is
// within 1.6 %.

#include <array>
#include <bit>
#include <cstdint>

namespace bw::bench {

class Histogram {
 public:
  void add(uint64_t ns) {
    ++counts_[bucket(ns)];
    ++total_;
    if (ns > most_) most_ = ns;
  }
  void clear() { *this = Histogram(); }
  uint64_t total() const { return total_; }
  uint64_t most() const { return most_; }

  // The upper end of the bucket in which the share (0 to 1) of all values is reached.
  uint64_t percentile(double share) const {
    const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return end_of(i) < most_ ? end_of(i) : most_;
    }
    return most_;
  }

 private:
  static constexpr unsigned kBits = 6;
  static constexpr uint64_t kSub = 1U << kBits;

  static size_t bucket(uint64_t ns) {
    if (ns < kSub) return static_cast<size_t>(ns);
    const auto shift = static_cast<unsigned>(std::bit_width(ns)) - kBits - 1;
    return static_cast<size_t>(((shift + 1) << kBits) + ((ns >> shift) - kSub));
  }
  static uint64_t end_of(size_t i) {
    if (i < kSub) return i;
    const auto shift = static_cast<unsigned>(i >> kBits) - 1;
    return ((kSub + (i & (kSub - 1)) + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - kBits + 1) * kSub> counts_{};
  uint64_t total_ = 0;
  uint64_t most_ = 0;
};

}  // namespace bw::bench
