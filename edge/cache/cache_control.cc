#include "edge/cache/cache_control.h"

#include <algorithm>
#include <string>

#include "core/http/structured_fields.h"
#include "edge/cache/field_text.h"

namespace bw::edge {
namespace {

// One directive, in any syntax: `seconds` is what its value says as delta-seconds (nullopt: none,
// or not readable), `has_value` whether it has one.
struct Directive {
  std::string_view name;
  bool has_value = false;
  std::optional<int64_t> seconds;
};

void add_seconds(std::optional<int64_t>& to, int64_t seconds) {
  to = to.has_value() ? std::min(*to, seconds) : seconds;
}

void add_directive(CacheDirectives& to, const Directive& directive) {
  const std::string_view name = directive.name;
  // A number we can't read must not make anything fresh (RFC 9111 section 4.2.1).
  const int64_t seconds = directive.seconds.value_or(0);
  if (name == "max-age") {
    add_seconds(to.max_age, seconds);
  } else if (name == "s-maxage") {
    add_seconds(to.s_maxage, seconds);
  } else if (name == "stale-while-revalidate") {
    add_seconds(to.stale_while_revalidate, seconds);
  } else if (name == "stale-if-error") {
    add_seconds(to.stale_if_error, seconds);
  } else if (name == "min-fresh") {
    add_seconds(to.min_fresh, seconds);
  } else if (name == "max-stale") {
    add_seconds(to.max_stale, directive.has_value ? seconds : kMaxSeconds);
  } else if (name == "no-store") {
    to.no_store = true;
  } else if (name == "no-cache") {
    to.no_cache = true;
  } else if (name == "private") {
    to.is_private = true;
  } else if (name == "public") {
    to.is_public = true;
  } else if (name == "must-revalidate") {
    to.must_revalidate = true;
  } else if (name == "proxy-revalidate") {
    to.proxy_revalidate = true;
  } else if (name == "must-understand") {
    to.must_understand = true;
  } else if (name == "only-if-cached") {
    to.only_if_cached = true;
  }
}

}  // namespace

std::optional<int64_t> parse_delta_seconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = std::min(value * 10 + (c - '0'), kMaxSeconds);
  }
  return value;
}

CacheDirectives parse_cache_control(std::string_view value) {
  CacheDirectives directives;
  while (!value.empty()) {
    const std::string_view member = next_member(value);
    const size_t equals = member.find('=');
    // Blanks before '=' are no syntax, but whoever wrote `private =` meant private; after it they
    // spoil the number, which then counts as 0.
    const std::string name = lower_case(trim_blanks(member.substr(0, equals)));
    if (!http::is_field_name(name)) continue;
    Directive directive{.name = name};
    if (equals != std::string_view::npos) {
      std::string_view text = member.substr(equals + 1);
      directive.has_value = true;
      // Both forms are to be accepted (RFC 9111 section 5.2).
      if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
      }
      directive.seconds = parse_delta_seconds(text);
    }
    add_directive(directives, directive);
  }
  return directives;
}

CacheDirectives parse_cache_control(const http::FieldList& fields) {
  const auto value = fields.combined(http::FieldId::cache_control);
  return value.has_value() ? parse_cache_control(*value) : CacheDirectives();
}

std::optional<CacheDirectives> parse_targeted(std::string_view value) {
  const auto dictionary = http::sf::parse_dictionary(value);
  if (!dictionary.has_value() || dictionary->empty()) return std::nullopt;
  CacheDirectives directives;
  for (const auto& [name, member] : *dictionary) {
    Directive directive{.name = name, .has_value = true};
    if (!member.inner_list && member.items.size() == 1) {
      const http::sf::BareItem& item = member.items[0].value;
      if (const bool* flag = std::get_if<bool>(&item)) {
        if (!*flag) continue;
        directive.has_value = false;
      } else if (const int64_t* number = std::get_if<int64_t>(&item); number && *number >= 0) {
        directive.seconds = std::min(*number, kMaxSeconds);
      }
    }
    add_directive(directives, directive);
  }
  return directives;
}

}  // namespace bw::edge
