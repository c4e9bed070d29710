#include "origin/conditional.h"

#include <algorithm>
#include <charconv>

#include "core/http/dates.h"

namespace bw::origin {
namespace {

using http::FieldId;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equal_nocase(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == y;
         });
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || at != end) return std::nullopt;
  return value;
}

}  // namespace

bool names_etag(std::string_view list, std::string_view etag, bool weak) {
  std::string_view rest = trim(list);
  if (rest == "*") return true;
  while (!rest.empty()) {
    if (rest.front() == ',') {  // empty members are none (RFC 9110 section 5.6.1.2)
      rest = trim(rest.substr(1));
      continue;
    }
    const bool is_weak = rest.starts_with("W/");
    if (is_weak) rest.remove_prefix(2);
    if (!rest.starts_with('"')) return false;
    const size_t close = rest.find('"', 1);
    if (close == std::string_view::npos) return false;
    if (rest.substr(0, close + 1) == etag && (weak || !is_weak)) return true;
    rest = trim(rest.substr(close + 1));
    if (!rest.empty() && rest.front() != ',') return false;
  }
  return false;
}

// The order of RFC 9110 section 13.2.2.
Precondition judge(const http::RequestHead& head, const Validators* current, int64_t now) {
  const bool read = head.method == "GET" || head.method == "HEAD";
  const auto date = [&](FieldId id) -> std::optional<int64_t> {
    const auto value = head.fields.find(id);
    return value ? http::parse_date(*value, now) : std::nullopt;
  };
  if (const auto match = head.fields.combined(FieldId::if_match)) {
    if (current == nullptr || !names_etag(*match, current->etag, false)) {
      return Precondition::failed;
    }
  } else if (const auto since = date(FieldId::if_unmodified_since)) {
    if (current == nullptr) return Precondition::failed;
    if (current->last_modified && *current->last_modified > *since) return Precondition::failed;
  }
  if (const auto none = head.fields.combined(FieldId::if_none_match)) {
    if (current != nullptr && names_etag(*none, current->etag, true)) {
      return read ? Precondition::not_modified : Precondition::failed;
    }
  } else if (const auto since = date(FieldId::if_modified_since)) {
    if (read && current != nullptr && current->last_modified && *current->last_modified <= *since) {
      return Precondition::not_modified;
    }
  }
  return Precondition::go;
}

Part choose_part(const http::RequestHead& head, const Validators& current, uint64_t size,
                 int64_t now) {
  const Part whole{.kind = Part::Kind::whole, .offset = 0, .length = size};
  if (head.method != "GET") return whole;
  const auto range = head.fields.find(FieldId::range);
  if (!range || head.fields.count(FieldId::range) != 1 || range->size() < 6 ||
      !equal_nocase(range->substr(0, 6), "bytes=")) {
    return whole;
  }
  if (const auto if_range = head.fields.find(FieldId::if_range)) {
    if (if_range->starts_with('"')) {
      if (*if_range != current.etag) return whole;
    } else if (!current.last_modified ||
               http::parse_date(*if_range, now) != current.last_modified) {
      return whole;
    }
  }
  const std::string_view spec = trim(range->substr(6));
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return whole;
  const auto first = parse_number(spec.substr(0, dash));
  const auto last = parse_number(spec.substr(dash + 1));
  const bool no_first = dash == 0;
  const bool no_last = dash + 1 == spec.size();
  if ((!first && !no_first) || (!last && !no_last) || (no_first && no_last)) return whole;
  if (no_first) {
    if (*last == 0 || size == 0) return {.kind = Part::Kind::unsatisfiable};
    const uint64_t length = std::min(*last, size);
    return {.kind = Part::Kind::part, .offset = size - length, .length = length};
  }
  if (!no_last && *last < *first) return whole;  // not a range at all
  if (*first >= size) return {.kind = Part::Kind::unsatisfiable};
  const uint64_t end = no_last ? size : std::min(size - 1, *last) + 1;
  return {.kind = Part::Kind::part, .offset = *first, .length = end - *first};
}

bool accepts_gzip(const http::RequestHead& head) {
  const auto value = head.fields.combined(FieldId::accept_encoding);
  if (!value) return false;
  bool any = false;
  std::string_view rest = *value;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view member = trim(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const size_t semicolon = std::min(member.find(';'), member.size());
    const std::string_view coding = trim(member.substr(0, semicolon));
    std::string_view weight = trim(member.substr(std::min(semicolon + 1, member.size())));
    bool wanted = true;
    if (weight.starts_with("q=") || weight.starts_with("Q=")) {
      weight.remove_prefix(2);
      wanted = weight.find_first_of("123456789") != std::string_view::npos;
    }
    if (equal_nocase(coding, "gzip") || equal_nocase(coding, "x-gzip")) return wanted;
    if (coding == "*") any = wanted;
  }
  return any;
}

std::string gzip_etag(std::string_view etag) {
  return std::string(etag.substr(0, etag.size() - 1)) + "-gz\"";
}

std::string without_gzip_marks(std::string_view list) {
  std::string out(list);
  for (size_t at = out.find("-gz\""); at != std::string::npos; at = out.find("-gz\"", at)) {
    out.erase(at, 3);
  }
  return out;
}

}  // namespace bw::origin
