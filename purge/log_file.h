// LogFile: the few file operations the log stands on, a seam so that tests can fail each of them.
//
// Threads: one at a time. Blocks: all of it (never on a loop).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bw::purge {

class LogFile {
 public:
  virtual ~LogFile() = default;
  virtual Result<std::string> read_all() = 0;
  // All of `bytes` at `offset`, or an error after any part of them.
  virtual Status write(uint64_t offset, std::string_view bytes) = 0;
  virtual Status sync() = 0;  // fdatasync
  virtual Status truncate(uint64_t size) = 0;
};

// Makes the folder if it's missing, takes its lock file (another process: Error exists) and opens
// `records.log` in it; the new names are synced. The lock lasts as long as the file object.
Result<std::unique_ptr<LogFile>> open_log_folder(const std::string& folder, std::string* why);

}  // namespace bw::purge
