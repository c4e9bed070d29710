// Structured fields: items, lists and dictionaries with parameters, read and written.
//
// Pure. Errors: any fault makes the whole field void (nullopt), as RFC 8941 section 4.2 demands.
// Bounds: kMaxMembers members, parameters and inner items each. See: RFC 8941; used by RFC 9211,
// 9213.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bw::http::sf {

inline constexpr size_t kMaxMembers = 1024;

struct Token {
  std::string text;
  friend bool operator==(const Token&, const Token&) = default;
};
struct Bytes {
  std::string text;
  friend bool operator==(const Bytes&, const Bytes&) = default;
};
// Thousandths.
struct Decimal {
  int64_t thousandths = 0;
  friend bool operator==(const Decimal&, const Decimal&) = default;
};

// Integer, decimal, string, token, byte sequence, boolean.
using BareItem = std::variant<int64_t, Decimal, std::string, Token, Bytes, bool>;
// In order; a key that comes again replaces the value at its first place.
using Parameters = std::vector<std::pair<std::string, BareItem>>;

struct Item {
  BareItem value;
  Parameters parameters;
};
struct Member {
  std::vector<Item> items;  // one, unless inner_list
  bool inner_list = false;
  Parameters parameters;  // of the inner list; an item has its own
};
using List = std::vector<Member>;
using Dictionary = std::vector<std::pair<std::string, Member>>;

std::optional<Item> parse_item(std::string_view text);
std::optional<List> parse_list(std::string_view text);
std::optional<Dictionary> parse_dictionary(std::string_view text);

const Member* find(const Dictionary& dictionary, std::string_view key);
const BareItem* find(const Parameters& parameters, std::string_view key);

// Nullopt for what can't be written: a string with bytes outside visible ASCII, a bad token.
std::optional<std::string> encode_string(std::string_view text);  // with its quotes
std::optional<std::string> encode_token(std::string_view text);
// Appends a token where it can be one, else a string; bytes that fit neither become '?'.
void append_name(std::string& out, std::string_view text);

}  // namespace bw::http::sf
