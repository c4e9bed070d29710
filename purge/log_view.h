// LogView: the durable log in memory, for those who follow it and for receipts.
//
// Threads: its loop's. Bounds: the log itself; about 300 bytes a record. Sequences are dense from
// the log's first record, so that a place is found by its number.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "purge/client/record.h"

namespace bw::purge {

class LogView {
 public:
  void add(std::vector<Record> records);

  bool empty() const { return records_.empty(); }
  size_t size() const { return records_.size(); }
  const Record& at(size_t index) const { return records_[index]; }
  LogPoint end() const;
  // Whether this point is a place on this log; 0 with a zero chain is: before its first record.
  bool holds(const LogPoint& point) const;
  // The index of the first record after `position`.
  size_t after(Position position) const;
  size_t after_sequence(uint64_t sequence) const;
  // The first record of the newest epoch.
  size_t newest_epoch() const { return newest_epoch_; }

  // The records of one request, by its id; they are next to each other.
  struct Span {
    size_t first = 0;
    size_t count = 0;
  };
  std::optional<Span> of_request(const std::string& id) const;

 private:
  std::vector<Record> records_;
  size_t newest_epoch_ = 0;
  std::map<std::string, Span> requests_;
};

}  // namespace bw::purge
