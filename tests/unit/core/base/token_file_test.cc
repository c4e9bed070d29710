#include "core/base/token_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "core/base/settings.h"
#include "tests/support/temp_dir.h"

using namespace bw;

TEST_CASE("token file: the first line counts, whatever blanks stand around it") {
  test::TempDir dir;
  struct Row {
    std::string text;
    std::optional<std::string> token;
    std::string why;
  };
  const std::vector<Row> rows = {
      {"s3cret", "s3cret", ""},
      {"s3cret\n", "s3cret", ""},
      {" \ts3cret \r\nmore\n", "s3cret", ""},
      {"", std::nullopt, "empty"},
      {"\ns3cret\n", std::nullopt, "empty"},
      {"two words\n", std::nullopt, "no token"},
      {std::string("nul\0here\n", 9), std::nullopt, "no token"},
      {std::string(4096, 'x') + "\n", std::string(4096, 'x'), ""},
      {std::string(4097, 'x') + "\n", std::nullopt, "4 KiB"},
  };
  const std::string path = dir / "a.token";
  for (const Row& row : rows) {
    std::ofstream(path, std::ios::binary) << row.text;
    CAPTURE(row.text.substr(0, 20));
    std::string why;
    CHECK(read_token_file(path, &why) == row.token);
    CHECK(why.find(row.why) != std::string::npos);
    CHECK(why.empty() == row.token.has_value());
  }
}

TEST_CASE("token file: one that isn't there is named") {
  test::TempDir dir;
  std::string why;
  CHECK_FALSE(read_token_file(dir / "none.token", &why));
  CHECK(why == (dir / "none.token") + ": cannot be read");
}

TEST_CASE("token file: one that is missing or that others can read is warned of") {
  namespace fs = std::filesystem;
  test::TempDir dir;
  const std::string path = dir / "a.token";
  const auto warned = [&](const std::string& file) {
    Diagnostics diagnostics;
    check_secret_file(file, "admin.token_file", diagnostics);
    CHECK(diagnostics.ok());
    return diagnostics.warnings();
  };
  CHECK(warned("").empty());
  CHECK(warned(path) == std::vector<std::string>{"admin.token_file: " + path + " isn't there"});
  std::ofstream(path) << "s3cret\n";
  fs::permissions(path, fs::perms::owner_read | fs::perms::group_read);
  CHECK(warned(path).empty());
  fs::permissions(path, fs::perms::others_read, fs::perm_options::add);
  CHECK(warned(path) ==
        std::vector<std::string>{"admin.token_file: " + path + " can be read by others"});
}
