#include "core/dns/name.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace bw::dns;

namespace {
Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
Name name(std::string_view text) { return *Name::parse(text); }
}  // namespace

TEST_CASE("name: text becomes wire form and comes back") {
  struct Row {
    const char* text;
    const char* back;
    size_t size;
  };
  const Row rows[] = {
      {".", ".", 1},
      {"example", "example", 9},
      {"www.Example.", "www.Example", 13},
      {"a\\.b.c", "a\\.b.c", 7},
      {"\\000\\255.x", "\\000\\255.x", 6},
      {"*.cdn", "*.cdn", 7},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    auto parsed = Name::parse(row.text);
    REQUIRE(parsed.ok());
    CHECK(parsed->text() == row.back);
    CHECK(parsed->wire().size() == row.size);
  }
}

TEST_CASE("name: text that is no name is refused") {
  const std::string label63(63, 'a');
  const std::string rows[] = {"",
                              "a..b",
                              ".a",
                              "a\\",
                              "a\\12",
                              "a\\256.b",
                              label63 + "a.b",
                              label63 + "." + label63 + "." + label63 + "." + label63};
  for (const std::string& row : rows) {
    CAPTURE(row);
    CHECK_FALSE(Name::parse(row).ok());
  }
  // 255 bytes exactly
  CHECK(Name::parse(label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b')).ok());
  CHECK_FALSE(
      Name::parse(label63 + "." + label63 + "." + label63 + "." + std::string(62, 'b')).ok());
}

TEST_CASE("name: compression pointers only go backwards") {
  struct Row {
    std::string message;
    size_t offset;
    bool ok;
    size_t end;
  };
  using namespace std::string_literals;
  const Row rows[] = {
      {"\3www\0"s, 0, true, 5},       {"\3com\0\3www\xc0\0"s, 5, true, 11},
      {"\xc0\0"s, 0, false, 0},        // to itself
      {"\xc0\2\xc0\0"s, 0, false, 0},  // forwards
      {"\xc0\2\xc0\0"s, 2, false, 0},  // backwards, then forwards
      {"\1a\xc0\0"s, 0, false, 0},     // a loop through a label
      {"\3ww"s, 0, false, 0},          // cut off
      {"\3www"s, 0, false, 0},         // no end
      {"\xc0"s, 0, false, 0},          // half a pointer
      {"\x40xx\0"s, 0, false, 0},      // reserved label type
      {"\x80xx\0"s, 0, false, 0},     {""s, 0, false, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.message, row.offset);
    size_t at = row.offset;
    auto read = Name::read(bytes_of(row.message), at);
    CHECK(read.ok() == row.ok);
    CHECK(at == (row.ok ? row.end : row.offset));
  }
  std::string long_name;
  for (int i = 0; i < 130; ++i) long_name += "\1a";
  long_name += '\0';
  size_t at = 0;
  CHECK_FALSE(Name::read(bytes_of(long_name), at).ok());
}

TEST_CASE("name: comparison and containment ignore case and respect labels") {
  CHECK(name("WWW.example") == name("www.EXAMPLE"));
  CHECK_FALSE(name("www.example") == name("ww.example"));
  CHECK(name("example").contains(name("a.b.EXAMPLE")));
  CHECK(name("example").contains(name("example")));
  CHECK_FALSE(name("example").contains(name("xexample")));
  CHECK_FALSE(name("a.example").contains(name("example")));
  CHECK(name(".").contains(name("x")));
  CHECK(name("A.B").lower().text() == "a.b");
  CHECK(name("a.b").parent() == name("b"));
  CHECK(name("a.b").parent().parent().parent().is_root());
  CHECK(name("b").child("*")->text() == "*.b");
  CHECK_FALSE(name("b").child("").ok());
  CHECK(name("a.b.c").labels() == 3);
  CHECK(name("ab.c").first_label() == "ab");
}
