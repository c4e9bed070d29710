#include "core/base/file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

using bw::Error;
using bw::read_file;
using bw::replace_file;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

size_t names_in(const std::string& folder) {
  size_t count = 0;
  for (const auto& one : std::filesystem::directory_iterator(folder)) count += one.exists() ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("file: what was put is read back, and nothing else is left in the folder") {
  const bw::test::TempDir dir;
  const std::string bytes(100'000, '\0');
  REQUIRE(replace_file(dir / "state", "before").ok());
  REQUIRE(replace_file(dir / "state", bytes).ok());
  const auto read = read_file(dir / "state", bytes.size());
  REQUIRE(read.ok());
  CHECK(*read == bytes);
  CHECK(names_in(dir.path()) == 1);
}

TEST_CASE("file: a byte over the bound is too large") {
  const bw::test::TempDir dir;
  std::ofstream(dir / "four") << "four";
  CHECK(read_file(dir / "four", 4).ok());
  const auto over = read_file(dir / "four", 3);
  REQUIRE_FALSE(over.ok());
  CHECK(over.error().kind == Error::Kind::too_large);
}

TEST_CASE("file: nothing there is told from what cannot be read") {
  const bw::test::TempDir dir;
  const auto absent = read_file(dir / "none", 10);
  REQUIRE_FALSE(absent.ok());
  CHECK(absent.error().kind == Error::Kind::not_found);
  const auto folder = read_file(dir.path(), 10);
  REQUIRE_FALSE(folder.ok());
  CHECK(folder.error().kind == Error::Kind::io);
}

TEST_CASE("file: the new file has the mode asked for, whatever lay beside it") {
  const bw::test::TempDir dir;
  std::ofstream(dir / "key.new") << "of a run that was cut off";
  REQUIRE(replace_file(dir / "key", "secret", 0600).ok());
  CHECK(mode_of(dir / "key") == 0600);
}

TEST_CASE("file: what cannot be replaced stays as it was") {
  const bw::test::TempDir dir;
  std::filesystem::create_directory(dir / "taken");
  std::ofstream(dir / "taken/file") << "kept";
  CHECK_FALSE(replace_file(dir / "taken", "bytes").ok());
  CHECK(*read_file(dir / "taken/file", 10) == "kept");
  CHECK_FALSE(std::filesystem::exists(dir / "taken.new"));
  CHECK(replace_file(dir / "no/folder", "bytes").error().kind == Error::Kind::not_found);
}

TEST_CASE("file: a full disk says so and leaves the old file") {
  bw::test::TempDir dir;
  if (!dir.mount_small("64k")) return;
  REQUIRE(replace_file(dir / "state", "old").ok());
  const auto full = replace_file(dir / "state", std::string(1 << 20, 'x'));
  REQUIRE_FALSE(full.ok());
  CHECK(full.error().kind == Error::Kind::no_space);
  CHECK(*read_file(dir / "state", 10) == "old");
}
