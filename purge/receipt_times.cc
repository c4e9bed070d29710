#include "purge/receipt_times.h"

#include <algorithm>

#include "core/base/check.h"

namespace bw::purge {

void ReceiptTimes::durable(Position last, MonoTime now) {
  BW_CHECK(purges_.empty() || purges_.back().last < last);
  purges_.push_back({last, now, {}});
  if (purges_.size() > kMaxPurges) drop_oldest();
}

void ReceiptTimes::drop_oldest() {
  times_ -= purges_.front().times.size();
  purges_.pop_front();
}

void ReceiptTimes::applied(uint32_t node, Position from, Position to, MonoTime now) {
  auto purge =
      std::upper_bound(purges_.begin(), purges_.end(), from,
                       [](Position wanted, const Purge& one) { return wanted < one.last; });
  for (; purge != purges_.end() && purge->last <= to; ++purge) {
    const int64_t ms = (now - purge->durable_at).count() / 1'000'000;
    purge->times.push_back({node, static_cast<uint32_t>(std::clamp<int64_t>(ms, 0, UINT32_MAX))});
    ++times_;
  }
  while (times_ > kMaxTimes) drop_oldest();
}

const ReceiptTimes::Purge* ReceiptTimes::find(Position last) const {
  const auto found =
      std::lower_bound(purges_.begin(), purges_.end(), last,
                       [](const Purge& one, Position wanted) { return one.last < wanted; });
  return found == purges_.end() || found->last != last ? nullptr : &*found;
}

std::optional<MonoTime> ReceiptTimes::durable_at(Position last) const {
  const Purge* purge = find(last);
  return purge == nullptr ? std::nullopt : std::optional(purge->durable_at);
}

ReceiptTimes::ByNode ReceiptTimes::applied_at(Position last) const {
  ByNode times;
  if (const Purge* purge = find(last)) {
    // A node that went back and came again keeps its first time.
    for (const Time& time : purge->times) {
      times.try_emplace(time.node,
                        purge->durable_at + Duration(std::chrono::milliseconds(time.after_ms)));
    }
  }
  return times;
}

}  // namespace bw::purge
