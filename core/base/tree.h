// Tree: a parsed document of settings (a TOML file) that knows where each key and value stood.
//
// A value; the parser is core/text/toml.h, the reader core/base/settings.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

struct TreeMember;

struct Tree {
  enum class Kind : uint8_t { table, array, string, integer, number, boolean, other };
  Kind kind = Kind::table;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::string text;  // of a string; of `other` (a date) what it is
  std::vector<TreeMember> members;
  std::vector<Tree> items;
  uint32_t line = 0;  // from 1; 0: not from a file
  uint32_t column = 0;

  static Tree string(std::string text);
  static Tree boolean_of(bool value);
  static Tree integer_of(int64_t value);
  static Tree array(std::vector<Tree> items);
  static Tree strings(const std::vector<std::string>& texts);
  const Tree* find(std::string_view key) const;
  Tree* find(std::string_view key);
  // The member of that name; made (a table) when it's missing.
  Tree& at(std::string_view key);
};

struct TreeMember {
  std::string key;
  uint32_t line = 0;
  uint32_t column = 0;
  Tree value;
};

// The value as an error message shows it: `"10 potatoes"`, `12`, `a table`.
std::string describe(const Tree& tree);

}  // namespace bw
