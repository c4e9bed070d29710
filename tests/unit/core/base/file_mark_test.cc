#include "core/base/file_mark.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

using namespace bw;

TEST_CASE("file mark: another content, another file and no file have other marks") {
  test::TempDir dir;
  const std::string path = dir / "a";
  CHECK(mark_of(path) == FileMark());
  std::ofstream(path) << "one";
  const FileMark first = mark_of(path);
  CHECK_FALSE(first == FileMark());
  CHECK(mark_of(path) == first);
  std::ofstream(path, std::ios::app) << "more";
  CHECK_FALSE(mark_of(path) == first);
  // A file of the same size and time that took the name of the first.
  const std::string other = dir / "b";
  std::ofstream(other) << "one";
  std::filesystem::last_write_time(other, std::filesystem::last_write_time(path));
  const FileMark before = mark_of(path);
  std::filesystem::rename(other, path);
  CHECK_FALSE(mark_of(path) == before);
  std::filesystem::remove(path);
  CHECK(mark_of(path) == FileMark());
}
