#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "origin/program.h"

using namespace bw::origin;

// scripts/docs.sh sets BREAKWATER_WRITE_DOCS: then the section is written instead of compared.
TEST_CASE("documents: docs/settings.md says what the code says about the origin") {
  const std::string path = std::string(BW_SOURCE_DIR) + "/docs/settings.md";
  const std::string begin = "<!-- origin: printed by scripts/docs.sh -->\n";
  const std::string end = "<!-- end of origin -->\n";
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  in.close();
  const size_t from = text.find(begin);
  const size_t to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  const std::string printed = settings_document();
  if (std::getenv("BREAKWATER_WRITE_DOCS") != nullptr) {
    text.replace(from + begin.size(), to - from - begin.size(), printed);
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  // Not CHECK(a == b): the document is long.
  const bool same = text.substr(from + begin.size(), to - from - begin.size()) == printed;
  INFO("run scripts/docs.sh");
  CHECK(same);
}
