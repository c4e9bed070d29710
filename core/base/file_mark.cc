#include "core/base/file_mark.h"

#include <sys/stat.h>

namespace bw {

FileMark mark_of(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  return {.changed_ns = status.st_mtim.tv_sec * int64_t{1'000'000'000} + status.st_mtim.tv_nsec,
          .size = static_cast<uint64_t>(status.st_size),
          .inode = status.st_ino};
}

}  // namespace bw
