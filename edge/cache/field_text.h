// Text of field values: blanks, case, members of lists. Private to edge/cache.
//
// Pure. See: RFC 9110 section 5.6.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bw::edge {

constexpr char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower_case(c);
  return out;
}

inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower_case(a[i]) != lower_case(b[i])) return false;
  }
  return true;
}

inline std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next member off the front of `rest`; separators within quoted strings don't count.
inline std::string_view next_member(std::string_view& rest, char separator = ',') {
  bool quoted = false;
  size_t i = 0;
  for (; i < rest.size(); ++i) {
    if (quoted && rest[i] == '\\') {
      ++i;
    } else if (rest[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && rest[i] == separator) {
      break;
    }
  }
  const std::string_view member = rest.substr(0, i);
  rest = i >= rest.size() ? std::string_view() : rest.substr(i + 1);
  return trim_blanks(member);
}

}  // namespace bw::edge
