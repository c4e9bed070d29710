#include "purge/log_view.h"

#include <algorithm>
#include <utility>

namespace bw::purge {

void LogView::add(std::vector<Record> records) {
  for (Record& record : records) {
    if (record.kind == Kind::epoch) newest_epoch_ = records_.size();
    if (!record.request.empty()) {
      const auto [span, made] = requests_.try_emplace(record.request, Span{records_.size(), 0});
      ++span->second.count;
    }
    records_.push_back(std::move(record));
  }
}

LogPoint LogView::end() const {
  return records_.empty() ? LogPoint{} : LogPoint{records_.back().position, records_.back().chain};
}

bool LogView::holds(const LogPoint& point) const {
  if (point.position.value == 0) return true;
  const size_t next = after(point.position);
  return next > 0 && records_[next - 1].position == point.position &&
         records_[next - 1].chain == point.chain;
}

size_t LogView::after(Position position) const {
  const auto found = std::upper_bound(
      records_.begin(), records_.end(), position,
      [](Position wanted, const Record& record) { return wanted < record.position; });
  return static_cast<size_t>(found - records_.begin());
}

size_t LogView::after_sequence(uint64_t sequence) const {
  if (records_.empty() || sequence < records_[0].position.sequence()) return 0;
  const uint64_t before = records_[0].position.sequence();
  return static_cast<size_t>(std::min<uint64_t>(sequence - before + 1, records_.size()));
}

std::optional<LogView::Span> LogView::of_request(const std::string& id) const {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return std::nullopt;
  return found->second;
}

}  // namespace bw::purge
