// ItemRate: a site's token bucket counted in items, with a reserve that only `everything` may use.
//
// Threads: one loop's. Bounds: two numbers. A flood of URL purges can't block the last resort.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "core/base/clock.h"
#include "core/base/quantity.h"

namespace bw::purge {

class ItemRate {
 public:
  // A rate of 0 items: no limit.
  ItemRate(Rate rate, uint64_t burst, uint64_t reserve)
      : per_ns_(static_cast<double>(rate.count) / static_cast<double>(rate.per.count())),
        burst_(static_cast<double>(burst)),
        reserve_(static_cast<double>(reserve)),
        level_(burst_) {}

  // Takes `items`; else answers how long until it would. A request of more than the bucket holds
  // waits for a full one.
  std::optional<Duration> take(uint64_t items, bool may_use_reserve, MonoTime now) {
    if (per_ns_ <= 0) return std::nullopt;
    const double since = static_cast<double>((now - last_).count());
    if (last_.ns != 0) level_ = std::min(burst_, level_ + since * per_ns_);
    last_ = now;
    const double floor = may_use_reserve ? 0 : reserve_;
    const double want = static_cast<double>(items);
    const double need = std::min(want + floor, burst_);
    if (level_ >= need) {
      level_ = std::max(0.0, level_ - want);
      return std::nullopt;
    }
    return Duration(static_cast<int64_t>(std::ceil((need - level_) / per_ns_)));
  }

 private:
  double per_ns_;
  double burst_;
  double reserve_;
  double level_;
  MonoTime last_;
};

}  // namespace bw::purge
