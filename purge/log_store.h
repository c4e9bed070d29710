// LogStore: the durable end of the invalidation log: recovery at open, batches appended whole.
//
// A file is a head (magic, a random salt, XXH3 of both) and frames: magic, length, XXH3 of the
// payload, seal, payload (whole records). One append is one frame, written and synced before the
// next begins; so only the last frame can be torn, and open() cuts it off. A broken frame with a
// good one after it is damage: Error corrupt, nothing is cut. The seal hashes salt, place, length
// and payload's XXH3: who may write texts into records knows no salt, so that nothing in a torn
// frame's texts can look like a good frame.
// After a failed write or sync the file is cut back to its durable end before anything else is
// written; until that works every append fails. Threads: one at a time (LogWriter's). Blocks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "purge/client/record.h"
#include "purge/log_file.h"

namespace bw::purge {

class LogStore {
 public:
  struct Opened {
    std::unique_ptr<LogStore> store;
    std::vector<Record> records;  // all, verified: dense, rising, chained
    uint64_t torn_bytes = 0;      // cut off the end
  };
  // `random` salts a file that is new.
  static Result<Opened> open(std::unique_ptr<LogFile> file, Random& random, std::string* why);

  const LogPoint& end() const { return end_; }
  // Gives `records` their positions (of the current epoch) and chains, and makes them durable.
  // On an error none of them is in the log, no position is used, and `records` is unchanged.
  Status append(std::vector<Record>& records);
  // Opens an epoch of number `epoch` (> the current) with its first record, made durable.
  Result<Record> open_epoch(uint32_t epoch, bool complete, int64_t time_ms);

 private:
  explicit LogStore(std::unique_ptr<LogFile> file) : file_(std::move(file)) {}
  Status write_head(uint64_t salt);
  Status write_frame(const std::vector<Record>& records);
  Status repair();

  std::unique_ptr<LogFile> file_;
  LogPoint end_;
  uint64_t salt_ = 0;
  uint64_t size_ = 0;   // durable bytes
  bool dirty_ = false;  // bytes past size_ may be in the file
};

}  // namespace bw::purge
