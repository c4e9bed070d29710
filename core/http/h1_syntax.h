// Bytes of HTTP/1 by class: tokens, text, blanks, members of lists. Private to core/http.
//
// Pure. See: RFC 9110 section 5.6.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace bw::http {

namespace syntax {
constexpr uint8_t kToken = 1;
constexpr uint8_t kText = 2;
constexpr uint8_t kTarget = 4;  // visible ASCII without '#', '"', '<' and '>'
constexpr uint8_t kHost = 8;    // of a registered name: letters, digits, '-', '.', '_', '~'

consteval std::array<uint8_t, 256> byte_classes() {
  std::array<uint8_t, 256> classes{};
  for (size_t c = 0; c < 256; ++c) {
    bool token = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    for (char extra : std::string_view("!#$%&'*+-.^_`|~")) {
      token = token || static_cast<uint8_t>(extra) == c;
    }
    if (token) classes[c] |= kToken;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) classes[c] |= kText;
    if (c > 0x20 && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>') {
      classes[c] |= kTarget;
    }
    const bool alphanumeric =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (alphanumeric || c == '-' || c == '.' || c == '_' || c == '~') classes[c] |= kHost;
  }
  return classes;
}
inline constexpr std::array<uint8_t, 256> kClasses = byte_classes();

constexpr uint8_t class_of(char c) { return kClasses[static_cast<uint8_t>(c)]; }

inline bool all_of_class(std::string_view text, uint8_t wanted) {
  uint8_t all = wanted;
  for (char c : text) all &= class_of(c);
  return all == wanted;
}
}  // namespace syntax

constexpr char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline bool is_token(std::string_view text) {
  return !text.empty() && syntax::all_of_class(text, syntax::kToken);
}
// Visible bytes, blanks, tabs and bytes above 0x7f: what a field value may hold.
inline bool is_text(std::string_view text) { return syntax::all_of_class(text, syntax::kText); }

inline std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next member of a comma-separated list off the front of `rest`.
inline std::string_view next_member(std::string_view& rest) {
  const size_t comma = rest.find(',');
  const std::string_view member = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  return trim_blanks(member);
}

inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower_case(a[i]) != lower_case(b[i])) return false;
  }
  return true;
}

}  // namespace bw::http
