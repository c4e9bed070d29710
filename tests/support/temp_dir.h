// A directory that goes with the test, and where it can be had a small real file system in it.
#pragma once

#include <stdlib.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>

#include "core/base/check.h"

namespace bw::test {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bw-test-XXXXXX").string();
    BW_CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TempDir() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Puts a tmpfs of that size over it; false where the test may not mount.
  bool mount_small(const std::string& size) {
    const std::string options = "size=" + size;
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
    return mounted_;
  }

 private:
  std::string path_;
  bool mounted_ = false;
};

}  // namespace bw::test
