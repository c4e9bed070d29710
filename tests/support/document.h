// A section of a document of docs/ that is printed from the code.
//
// `<!-- NAME: printed by scripts/docs.sh -->` and `<!-- end of NAME -->` stand around it.
// scripts/docs.sh sets BREAKWATER_WRITE_DOCS: then the section is written instead of compared.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace bw {

inline void check_document(const std::string& file, const std::string& name,
                           const std::string& printed) {
  const std::string path = std::string(BW_SOURCE_DIR) + "/docs/" + file;
  const std::string begin = "<!-- " + name + ": printed by scripts/docs.sh -->\n";
  const std::string end = "<!-- end of " + name + " -->\n";
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  in.close();
  const size_t from = text.find(begin);
  const size_t to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
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

}  // namespace bw
