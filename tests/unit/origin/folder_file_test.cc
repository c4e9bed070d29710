#include "origin/folder_file.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

using namespace bw::origin;
namespace fs = std::filesystem;

namespace {

// 0: it was opened.
int opens(int (*open)(const std::string&, const std::string&), const std::string& folder,
          const char* path) {
  errno = 0;
  const int fd = open(folder, path);
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

}  // namespace

TEST_CASE("static files: nothing outside of the folder is opened through a link") {
  bw::test::TempDir dir;
  const std::string folder = dir / "files";
  fs::create_directories(folder + "/sub");
  fs::create_directories(dir / "outside");
  std::ofstream(dir / "outside/secret") << "s";
  std::ofstream(folder + "/sub/a.css") << "a";
  fs::create_symlink("sub/a.css", folder + "/inside");
  fs::create_symlink("../outside/secret", folder + "/out");
  fs::create_symlink(dir / "outside", folder + "/folder");
  struct Row {
    const char* path;
    bool with_openat2;
    bool without_links;
  };
  const Row rows[] = {
      {"sub/a.css", true, true},       {"inside", true, false}, {"out", false, false},
      {"folder/secret", false, false}, {"none", false, false},  {"sub/a.css/more", false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.path);
    CHECK((opens(open_below, folder, row.path) == 0) == row.with_openat2);
    CHECK((opens(open_below_without_links, folder, row.path) == 0) == row.without_links);
  }
  CHECK(opens(open_below, folder, "out") == EXDEV);
  CHECK(opens(open_below_without_links, folder, "out") == ELOOP);
  CHECK(opens(open_below, dir / "missing", "a") == ENOENT);
}
