// Json: one JSON value, ours from parser to writer; the library behind it stays in the .cc.
//
// Objects keep the order of their members; a name given twice is an error. Integers are exact in
// int64; other numbers are double. Threads: a value, no sharing. Bounds: JsonLimits. Errors:
// malformed or too_large; `code` is the byte offset, `why` gets a line for people.
// See: RFC 8259.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.h"

namespace bw::text {

struct JsonLimits {
  size_t max_bytes = 1 << 20;
  size_t max_depth = 32;
};

class Json {
 public:
  struct Member;
  enum class Kind : uint8_t { null, boolean, integer, number, string, array, object };

  Json();  // null
  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(const Json&);
  Json& operator=(Json&&) noexcept;
  ~Json();
  Json(std::nullptr_t) : Json() {}
  Json(bool value);
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value) : Json(Integer{static_cast<int64_t>(value)}) {}
  Json(double value);
  Json(std::string value);
  Json(std::string_view value) : Json(std::string(value)) {}
  Json(const char* value) : Json(std::string(value)) {}
  static Json object();
  static Json array();
  static Json strings(const std::vector<std::string>& texts);

  static Result<Json> parse(std::string_view text, const JsonLimits& limits = {},
                            std::string* why = nullptr);
  // One line; with indent > 0 several. Bytes that aren't UTF-8 are written as U+FFFD.
  std::string dump(int indent = 0) const;

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  bool is_null() const { return kind() == Kind::null; }
  bool is_string() const { return kind() == Kind::string; }
  bool is_array() const { return kind() == Kind::array; }
  bool is_object() const { return kind() == Kind::object; }

  // The value, or nullopt when it is of another kind.
  std::optional<bool> as_bool() const;
  std::optional<int64_t> as_int() const;
  std::optional<double> as_number() const;            // an integer too
  std::optional<std::string_view> as_string() const;  // lives as long as this value

  // Elements of an array, members of an object; empty for other kinds.
  std::span<const Json> items() const;
  std::span<const Member> members() const;
  size_t size() const;
  // The member of that name, or nullptr.
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  // The member of that name, or a null.
  const Json& get(std::string_view key) const;

  // Adds or replaces; a null becomes an object first. Answers this value, to chain.
  Json& set(std::string_view key, Json value);
  // Appends; a null becomes an array first.
  Json& push(Json value);
  // True when there was such a member.
  bool remove(std::string_view key);

  friend bool operator==(const Json& a, const Json& b);

 private:
  struct Integer {
    int64_t value;
  };
  explicit Json(Integer value);
  friend class JsonBuilder;
  void write(std::string& out, int indent, int depth) const;

  std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<Json>,
               std::vector<Member>>
      value_;
};

struct Json::Member {
  std::string key;
  Json value;
};

// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace bw::text
