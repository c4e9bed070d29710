#include "core/base/token_file.h"

#include <catch2/catch.hpp>
#include <fstream>

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
