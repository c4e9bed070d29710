#include "core/text/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace bw::text {

Json::Json() = default;
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;
Json::Json(bool value) : value_(value) {}
Json::Json(Integer value) : value_(value.value) {}
Json::Json(double value) : value_(value) {}
Json::Json(std::string value) : value_(std::move(value)) {}

Json Json::object() {
  Json json;
  json.value_.emplace<std::vector<Member>>();
  return json;
}

Json Json::strings(const std::vector<std::string>& texts) {
  Json json = array();
  for (const std::string& text : texts) json.push(text);
  return json;
}

Json Json::array() {
  Json json;
  json.value_.emplace<std::vector<Json>>();
  return json;
}

// Receives the library's events and builds our value, bounded in depth.
class JsonBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonBuilder(size_t max_depth) : max_depth_(max_depth) {}

  bool null() override { return put(Json()); }
  bool boolean(bool value) override { return put(Json(value)); }
  bool number_integer(int64_t value) override { return put(Json(value)); }
  bool number_unsigned(uint64_t value) override {
    return value <= static_cast<uint64_t>(INT64_MAX) ? put(Json(static_cast<int64_t>(value)))
                                                     : put(Json(static_cast<double>(value)));
  }
  bool number_float(double value, const std::string&) override { return put(Json(value)); }
  bool string(std::string& value) override { return put(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    keys_.push_back(std::move(name));
    return true;
  }
  bool end_object() override {
    auto& members = std::get<std::vector<Json::Member>>(open_.back().value_);
    std::vector<std::string_view> names;
    names.reserve(members.size());
    for (const Json::Member& member : members) names.push_back(member.key);
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
      fault_ = "a name is given twice in an object that ends here";
      return false;
    }
    return close();
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    offset_ = position;
    fault_ = "not JSON";
    return false;
  }

  Json take() { return std::move(root_); }
  bool too_deep() const { return too_deep_; }
  size_t offset() const { return offset_; }
  const std::string& fault() const { return fault_; }

 private:
  bool put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    if (auto* members = std::get_if<std::vector<Json::Member>>(&open_.back().value_)) {
      members->push_back({std::move(keys_.back()), std::move(value)});
      keys_.pop_back();
    } else {
      std::get<std::vector<Json>>(open_.back().value_).push_back(std::move(value));
    }
    return true;
  }
  bool open(Json container) {
    if (open_.size() >= max_depth_) {
      too_deep_ = true;
      fault_ = "nested too deeply";
      return false;
    }
    open_.push_back(std::move(container));
    return true;
  }
  bool close() {
    Json done = std::move(open_.back());
    open_.pop_back();
    return put(std::move(done));
  }

  size_t max_depth_;
  Json root_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
  size_t offset_ = 0;
  bool too_deep_ = false;
  std::string fault_;
};

Result<Json> Json::parse(std::string_view text, const JsonLimits& limits, std::string* why) {
  if (text.size() > limits.max_bytes) {
    if (why != nullptr) *why = "larger than " + std::to_string(limits.max_bytes) + " bytes";
    return Error{Error::Kind::too_large, Error::Side::client, Error::Retry::no, 0, "JSON"};
  }
  JsonBuilder builder(limits.max_depth);
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) return builder.take();
  if (why != nullptr) {
    *why = builder.fault().empty() ? "not JSON" : builder.fault();
    if (builder.offset() > 0) *why += " at byte " + std::to_string(builder.offset());
  }
  return Error{builder.too_deep() ? Error::Kind::too_large : Error::Kind::malformed,
               Error::Side::client, Error::Retry::no, static_cast<int32_t>(builder.offset()),
               "JSON"};
}

std::optional<bool> Json::as_bool() const {
  const bool* value = std::get_if<bool>(&value_);
  return value != nullptr ? std::optional<bool>(*value) : std::nullopt;
}
std::optional<int64_t> Json::as_int() const {
  const int64_t* value = std::get_if<int64_t>(&value_);
  return value != nullptr ? std::optional<int64_t>(*value) : std::nullopt;
}
std::optional<double> Json::as_number() const {
  if (const int64_t* integer = std::get_if<int64_t>(&value_)) return static_cast<double>(*integer);
  const double* value = std::get_if<double>(&value_);
  return value != nullptr ? std::optional<double>(*value) : std::nullopt;
}
std::optional<std::string_view> Json::as_string() const {
  const std::string* value = std::get_if<std::string>(&value_);
  return value != nullptr ? std::optional<std::string_view>(*value) : std::nullopt;
}

std::span<const Json> Json::items() const {
  const auto* items = std::get_if<std::vector<Json>>(&value_);
  return items != nullptr ? std::span<const Json>(*items) : std::span<const Json>();
}
std::span<const Json::Member> Json::members() const {
  const auto* members = std::get_if<std::vector<Member>>(&value_);
  return members != nullptr ? std::span<const Member>(*members) : std::span<const Member>();
}
size_t Json::size() const { return is_array() ? items().size() : members().size(); }

const Json* Json::find(std::string_view key) const {
  for (const Member& member : members()) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}
Json* Json::find(std::string_view key) {
  return const_cast<Json*>(static_cast<const Json*>(this)->find(key));
}
const Json& Json::get(std::string_view key) const {
  static const Json kNull;
  const Json* found = find(key);
  return found != nullptr ? *found : kNull;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) *this = object();
  BW_CHECK(is_object());
  if (Json* found = find(key)) {
    *found = std::move(value);
  } else {
    std::get<std::vector<Member>>(value_).push_back({std::string(key), std::move(value)});
  }
  return *this;
}
Json& Json::push(Json value) {
  if (is_null()) *this = array();
  BW_CHECK(is_array());
  std::get<std::vector<Json>>(value_).push_back(std::move(value));
  return *this;
}
bool Json::remove(std::string_view key) {
  auto* members = std::get_if<std::vector<Member>>(&value_);
  return members != nullptr &&
         std::erase_if(*members, [key](const Member& member) { return member.key == key; }) > 0;
}

bool operator==(const Json& a, const Json& b) {
  if (a.value_.index() != b.value_.index()) return false;
  if (a.is_array()) return std::ranges::equal(a.items(), b.items());
  if (a.is_object()) {
    return std::ranges::equal(a.members(), b.members(), [](const auto& x, const auto& y) {
      return x.key == y.key && x.value == y.value;
    });
  }
  return a.as_bool() == b.as_bool() && a.as_number() == b.as_number() && a.as_int() == b.as_int() &&
         a.as_string() == b.as_string();
}

namespace {

// The length of the well-formed UTF-8 sequence at the front; 0: none (RFC 3629 section 4).
size_t utf8_length(std::string_view text) {
  const auto at = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto tail = [&](size_t i) { return (at(i) & 0xC0u) == 0x80u; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && at(1) < 0xA0) return 0;
    if (first == 0xED && at(1) > 0x9F) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && at(1) < 0x90) return 0;
    if (first == 0xF4 && at(1) > 0x8F) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

void new_line(std::string& out, int indent, int depth) {
  if (indent <= 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent) * static_cast<size_t>(depth), ' ');
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const char c = text.front();
    size_t length = 1;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += "\\u00";
      out += kHex[(c >> 4) & 15];
      out += kHex[c & 15];
    } else if (const size_t n = utf8_length(text); n > 0) {
      out.append(text.substr(0, n));
      length = n;
    } else {
      out += "\xEF\xBF\xBD";
    }
    text.remove_prefix(length);
  }
  out += '"';
}

void Json::write(std::string& out, int indent, int depth) const {
  switch (kind()) {
    case Kind::null:
      out += "null";
      break;
    case Kind::boolean:
      out += *as_bool() ? "true" : "false";
      break;
    case Kind::integer:
      out += std::to_string(*as_int());
      break;
    case Kind::number: {
      const double value = *as_number();
      char buffer[32];
      const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
      if (!std::isfinite(value)) {  // JSON has no way to write these
        out += "null";
        break;
      }
      const std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
      out += text;
      // It stays a number that isn't an integer when it is read again.
      if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
      break;
    }
    case Kind::string:
      append_json_string(out, *as_string());
      break;
    case Kind::array: {
      out += '[';
      bool first = true;
      for (const Json& item : items()) {
        if (!first) out += ',';
        first = false;
        new_line(out, indent, depth + 1);
        item.write(out, indent, depth + 1);
      }
      if (!first) new_line(out, indent, depth);
      out += ']';
      break;
    }
    case Kind::object: {
      out += '{';
      bool first = true;
      for (const Member& member : members()) {
        if (!first) out += ',';
        first = false;
        new_line(out, indent, depth + 1);
        append_json_string(out, member.key);
        out += indent > 0 ? ": " : ":";
        member.value.write(out, indent, depth + 1);
      }
      if (!first) new_line(out, indent, depth);
      out += '}';
      break;
    }
  }
}

std::string Json::dump(int indent) const {
  std::string out;
  write(out, indent, 0);
  return out;
}

}  // namespace bw::text
