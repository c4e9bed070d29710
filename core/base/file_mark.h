// What a file looked like when it was read: tells whether it has changed since.
//
// Blocks: stat(). A file that isn't there has the mark of no file.
#pragma once

#include <cstdint>
#include <string>

namespace bw {

struct FileMark {
  int64_t changed_ns = 0;
  uint64_t size = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileMark&, const FileMark&) = default;
};
FileMark mark_of(const std::string& file);

}  // namespace bw
