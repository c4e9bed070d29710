#include "purge/client/log_stream.h"

namespace bw::purge {
namespace {

Error broken(std::string_view text) {
  return {.kind = Error::Kind::corrupt,
          .side = Error::Side::upstream,
          .retry = Error::Retry::yes,
          .text = text};
}

}  // namespace

bool LogStream::is_next(const Record& record) const {
  return end_ && record.position.epoch() == end_->position.epoch() &&
         record.position.sequence() == end_->position.sequence() + 1 &&
         next_chain(end_->chain, record) == record.chain;
}

Result<LogStream::Step> LogStream::next() {
  Step step;
  for (;;) {
    const size_t line_end = buffer_.find('\n', used_);
    if (line_end == std::string::npos) {
      if (!step.records.empty()) return step;
      if (buffer_.size() - used_ > kMaxRecordLine) return broken("a line of the log is too long");
      buffer_.erase(0, used_);
      used_ = 0;
      return step;
    }
    const Result<LogLine> line =
        parse_log_line(std::string_view(buffer_).substr(used_, line_end - used_));
    const bool next = line.ok() && line->what == LogLine::What::record &&
                      line->record.kind != Kind::epoch && is_next(line->record);
    // What was verified is told first: end_ has passed it. The line comes again, alone.
    if (!step.records.empty() && (!next || step.records.size() == kMaxBatch)) return step;
    if (!line.ok()) return line.error();

    if (line->what == LogLine::What::digest) {
      used_ = line_end + 1;
      step.digest = line->digest;
      const LogPoint& end = step.digest.end;
      if (!end_) {
        end_ = end;
        step.what = Step::What::reset;
        step.point = end;
        return step;
      }
      if (end.position > end_->position) return broken("records of the log are missing");
      if (end.position < end_->position) return broken("the log ends before what was applied");
      if (end.chain != end_->chain) return broken("the log has another chain");
      step.what = Step::What::digest;
      return step;
    }

    const Record& record = line->record;
    if (record.kind == Kind::epoch) {
      used_ = line_end + 1;
      const std::optional<EpochStart> start = parse_epoch_text(record.text);
      if (!start) return broken("the first record of an epoch is malformed");
      if (end_ && record.position <= end_->position) return broken("an epoch went backwards");
      const LogPoint point{record.position, record.chain};
      const bool goes_on = end_ && start->complete && start->before == *end_ &&
                           next_chain(end_->chain, record) == record.chain;
      end_ = point;
      step.point = point;
      if (!goes_on) {
        step.what = Step::What::reset;
        return step;
      }
      step.what = Step::What::records;
      step.records.push_back(record);
      return step;
    }
    if (!next) {
      return broken(end_ ? "the log isn't dense, or its chain is broken"
                         : "a record came before the log said where it stands");
    }
    used_ = line_end + 1;
    end_ = LogPoint{record.position, record.chain};
    step.what = Step::What::records;
    step.records.push_back(record);
  }
}

}  // namespace bw::purge
