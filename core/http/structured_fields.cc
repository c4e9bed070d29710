#include "core/http/structured_fields.h"

#include <algorithm>

#include "core/http/h1_syntax.h"

namespace bw::http::sf {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_alpha(char c) { return is_lower(lower_case(c)); }
bool is_key_start(char c) { return is_lower(c) || c == '*'; }
bool is_key_char(char c) {
  return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}
bool is_token_start(char c) { return is_alpha(c) || c == '*'; }
bool is_token_char(char c) { return is_token(std::string_view(&c, 1)) || c == ':' || c == '/'; }

// Replaces the value of an equal key in place, or appends (section 4.2.2).
template <typename Value>
void put(std::vector<std::pair<std::string, Value>>& pairs, std::string key, Value value) {
  for (auto& pair : pairs) {
    if (pair.first == key) {
      pair.second = std::move(value);
      return;
    }
  }
  pairs.emplace_back(std::move(key), std::move(value));
}

// The algorithms of section 4.2, on a view that shrinks from the front.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) { skip_spaces(); }

  bool read_item(Item& item) { return read_bare(item.value) && read_parameters(item.parameters); }

  bool read_member(Member& member) {
    if (!rest_.starts_with('(')) {
      member.items.emplace_back();
      return read_item(member.items.back());
    }
    member.inner_list = true;
    rest_.remove_prefix(1);
    for (;;) {
      skip_spaces();
      if (rest_.empty()) return false;
      if (take(')')) return read_parameters(member.parameters);
      if (member.items.size() == kMaxMembers) return false;
      member.items.emplace_back();
      if (!read_item(member.items.back())) return false;
      if (rest_.empty() || (rest_[0] != ' ' && rest_[0] != ')')) return false;
    }
  }

  bool read_key(std::string& key) {
    if (rest_.empty() || !is_key_start(rest_[0])) return false;
    key = take_while(is_key_char);
    return true;
  }

  bool read_parameters(Parameters& parameters) {
    while (take(';')) {
      skip_spaces();
      std::string key;
      BareItem value = true;
      if (!read_key(key) || parameters.size() == kMaxMembers) return false;
      if (take('=') && !read_bare(value)) return false;
      put(parameters, std::move(key), std::move(value));
    }
    return true;
  }

  // Between members: nothing left, or a comma with something after it.
  bool read_separator(bool& done) {
    skip_blanks();
    done = rest_.empty();
    if (done) return true;
    if (!take(',')) return false;
    skip_blanks();
    return !rest_.empty();
  }

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool ended() {
    skip_spaces();
    return rest_.empty();
  }
  bool empty() const { return rest_.empty(); }

 private:
  bool read_bare(BareItem& value) {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    if (c == '-' || is_digit(c)) return read_number(value);
    if (c == '"') return read_string(value);
    if (c == ':') return read_bytes(value);
    if (c == '?') return read_boolean(value);
    if (!is_token_start(c)) return false;
    value = Token{std::string(take_while(is_token_char))};
    return true;
  }

  bool read_number(BareItem& value) {
    const int64_t sign = take('-') ? -1 : 1;
    const std::string_view whole = take_while(is_digit);
    if (whole.empty() || whole.size() > 15) return false;
    int64_t number = 0;
    for (char c : whole) number = number * 10 + (c - '0');
    if (!take('.')) {
      value = sign * number;
      return true;
    }
    const std::string_view part = take_while(is_digit);
    if (whole.size() > 12 || part.empty() || part.size() > 3) return false;
    for (size_t i = 0; i < 3; ++i) number = number * 10 + (i < part.size() ? part[i] - '0' : 0);
    value = Decimal{sign * number};
    return true;
  }

  bool read_string(BareItem& value) {
    rest_.remove_prefix(1);
    std::string text;
    while (!rest_.empty()) {
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') {
        value = std::move(text);
        return true;
      }
      if (c == '\\') {
        if (rest_.empty() || (rest_[0] != '"' && rest_[0] != '\\')) return false;
        c = rest_[0];
        rest_.remove_prefix(1);
      } else if (c < 0x20 || c == 0x7f) {  // char is signed: bytes above 0x7f are below 0x20
        return false;
      }
      text.push_back(c);
    }
    return false;
  }

  bool read_bytes(BareItem& value) {
    const size_t end = rest_.find(':', 1);
    if (end == std::string_view::npos) return false;
    std::string_view coded = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    while (coded.ends_with('=')) coded.remove_suffix(1);
    std::string bytes;
    uint32_t bits = 0;
    int count = 0;
    for (char c : coded) {
      static constexpr std::string_view kDigits =
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
      const size_t digit = kDigits.find(c);
      if (digit == std::string_view::npos) return false;
      bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xffffff;
      count += 6;
      if (count >= 8) {
        count -= 8;
        bytes.push_back(static_cast<char>(bits >> count & 0xff));
      }
    }
    if (count == 6) return false;
    value = Bytes{std::move(bytes)};
    return true;
  }

  bool read_boolean(BareItem& value) {
    rest_.remove_prefix(1);
    if (take('1')) {
      value = true;
    } else if (take('0')) {
      value = false;
    } else {
      return false;
    }
    return true;
  }

  template <typename Predicate>
  std::string_view take_while(Predicate predicate) {
    size_t n = 0;
    while (n < rest_.size() && predicate(rest_[n])) ++n;
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  void skip_spaces() {
    while (take(' ')) {
    }
  }
  void skip_blanks() {
    while (take(' ') || take('\t')) {
    }
  }

  std::string_view rest_;
};

bool is_sf_token(std::string_view text) {
  return !text.empty() && is_token_start(text[0]) &&
         std::all_of(text.begin(), text.end(), is_token_char);
}

}  // namespace

std::optional<Item> parse_item(std::string_view text) {
  Reader reader(text);
  Item item;
  if (!reader.read_item(item) || !reader.ended()) return std::nullopt;
  return item;
}

std::optional<List> parse_list(std::string_view text) {
  Reader reader(text);
  List list;
  for (bool done = reader.empty(); !done;) {
    if (list.size() == kMaxMembers) return std::nullopt;
    list.emplace_back();
    if (!reader.read_member(list.back()) || !reader.read_separator(done)) return std::nullopt;
  }
  return list;
}

std::optional<Dictionary> parse_dictionary(std::string_view text) {
  Reader reader(text);
  Dictionary dictionary;
  for (bool done = reader.empty(); !done;) {
    std::string key;
    Member member;
    if (dictionary.size() == kMaxMembers || !reader.read_key(key)) return std::nullopt;
    if (reader.take('=')) {
      if (!reader.read_member(member)) return std::nullopt;
    } else {  // a key alone is true, and may have parameters
      member.items.push_back({.value = true, .parameters = {}});
      if (!reader.read_parameters(member.items[0].parameters)) return std::nullopt;
    }
    put(dictionary, std::move(key), std::move(member));
    if (!reader.read_separator(done)) return std::nullopt;
  }
  return dictionary;
}

const Member* find(const Dictionary& dictionary, std::string_view key) {
  for (const auto& [name, member] : dictionary) {
    if (name == key) return &member;
  }
  return nullptr;
}

const BareItem* find(const Parameters& parameters, std::string_view key) {
  for (const auto& [name, value] : parameters) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::optional<std::string> encode_string(std::string_view text) {
  std::string coded = "\"";
  for (char c : text) {
    if (c < 0x20 || c == 0x7f) return std::nullopt;
    if (c == '"' || c == '\\') coded.push_back('\\');
    coded.push_back(c);
  }
  coded.push_back('"');
  return coded;
}

std::optional<std::string> encode_token(std::string_view text) {
  if (!is_sf_token(text)) return std::nullopt;
  return std::string(text);
}

void append_name(std::string& out, std::string_view text) {
  if (is_sf_token(text)) {
    out += text;
    return;
  }
  std::string clean(text);
  for (char& c : clean) {
    if (c < 0x20 || c == 0x7f) c = '?';
  }
  out += *encode_string(clean);
}

}  // namespace bw::http::sf
