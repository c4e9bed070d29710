#include "edge/cache/key.h"

#include <algorithm>
#include <array>

#include "core/base/appender.h"
#include "edge/cache/field_text.h"

namespace bw::edge {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 3986 section 2.3.
bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void append_escape(std::string& out, char c) {
  const auto byte = static_cast<uint8_t>(c);
  out += '%';
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

// Doing it twice changes nothing: a '%' that begins no escape becomes one of its own.
std::string normalise_escapes(std::string_view text, bool ignore_case) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        append_escape(out, '%');
        continue;
      }
      c = static_cast<char>(high * 16 + low);
      i += 2;
      if (!is_unreserved(c)) {
        append_escape(out, c);
        continue;
      }
    } else if (c <= ' ' || c >= 0x7f) {  // c < 0 too: bytes that a target may not hold
      append_escape(out, c);
      continue;
    }
    out += ignore_case ? lower_case(c) : c;
  }
  return out;
}

// As sent, but what a target may not hold; the case only if asked for.
std::string clean_query(std::string_view text, bool ignore_case) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c <= ' ' || c >= 0x7f) {
      append_escape(out, c);
    } else if (c == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
               hex_value(text[i + 2]) >= 0) {
      out.append(text.substr(i, 3));
      i += 2;
    } else {
      out += ignore_case ? lower_case(c) : c;
    }
  }
  return out;
}

// RFC 3986 section 5.2.4.
std::string remove_dot_segments(std::string_view path) {
  std::string out;
  size_t at = 0;
  while (at < path.size()) {
    const size_t next = std::min(path.find('/', at + 1), path.size());
    const std::string_view segment = path.substr(at + 1, next - at - 1);
    const bool last = next == path.size();
    if (segment == "." || segment == "..") {
      if (segment == ".." && !out.empty()) out.resize(out.rfind('/'));
      if (last) out += '/';
    } else {
      out.append(path.substr(at, next - at));
    }
    at = next;
  }
  return out.empty() ? "/" : out;
}

bool named(std::span<const std::string> patterns, std::string_view name, bool ignore_case) {
  for (const std::string& pattern : patterns) {
    std::string_view text = pattern;
    const bool open = !text.empty() && text.back() == '*';
    if (open) text.remove_suffix(1);
    const std::string_view head = open ? name.substr(0, text.size()) : name;
    if (ignore_case ? equals_ignoring_case(head, text) : head == text) return true;
  }
  return false;
}

// What a byte of a path or a query may need: an escape looked at (or made), or a dot looked at.
enum : uint8_t { kEscapes = 1, kDot = 2 };

consteval std::array<uint8_t, 256> target_bytes() {
  std::array<uint8_t, 256> classes{};
  for (size_t c = 0; c < classes.size(); ++c) {
    if (c <= ' ' || c >= 0x7f || c == '%') classes[c] = kEscapes;
  }
  classes[static_cast<size_t>('.')] = kDot;
  return classes;
}
constexpr std::array<uint8_t, 256> kTargetBytes = target_bytes();

uint8_t needs_of(std::string_view text) {
  uint8_t needs = 0;
  for (const char c : text) needs |= kTargetBytes[static_cast<uint8_t>(c)];
  return needs;
}

// Nothing in it that normalising would change, but for the case.
bool is_plain_path(std::string_view path) {
  const uint8_t needs = needs_of(path);
  return path.starts_with('/') && (needs & kEscapes) == 0 &&
         (needs == 0 || path.find("/.") == std::string_view::npos);
}

// The path as it is keyed: itself, or `storage`.
std::string_view keyed_path(std::string_view path, bool ignore_case, std::string& storage) {
  if (!ignore_case && is_plain_path(path)) return path;
  return storage = normalise_path(path, ignore_case);
}

// The query as it is keyed, nullopt: none is.
std::optional<std::string_view> keyed_query(const KeyRules& rules,
                                            std::optional<std::string_view> query,
                                            std::string& storage) {
  if (!query || query->empty()) return std::nullopt;
  const bool kept = rules.query == KeyRules::Query::keep && rules.query_only.empty() &&
                    rules.query_except.empty() && !rules.ignore_case;
  if (kept && (needs_of(*query) & kEscapes) == 0) return query;
  std::optional<std::string> normal = normalise_query(rules, query);
  if (!normal) return std::nullopt;
  return storage = std::move(*normal);
}

std::string_view parameter_name(std::string_view parameter) {
  return parameter.substr(0, parameter.find('='));
}

std::string_view cookie_name(std::string_view pair) {
  return trim_blanks(pair.substr(0, pair.find('=')));
}

// HTTP/2 may split Cookie into several lines (RFC 9113 section 8.2.3).
std::string cookies_of(const http::FieldList& fields) {
  std::string all;
  for (const http::Field field : fields) {
    if (field.id != http::FieldId::cookie) continue;
    if (!all.empty()) all += "; ";
    all += field.value;
  }
  return all;
}

void append_cookies(std::string& text, const KeyRules& rules, const http::FieldList& fields) {
  const std::string all = cookies_of(fields);
  for (const std::string& name : rules.cookies) {
    text += "\n;";
    text += name;
    std::string_view rest = all;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = trim_blanks(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (cookie_name(pair) != name) continue;
      text += ';';
      text += pair;
    }
  }
}

Hash128 purge_hash(char kind, std::string_view host, std::string_view path,
                   std::optional<std::string_view> query) {
  std::string text;
  text.reserve(host.size() + path.size() + 8 + (query ? query->size() : 0));
  text += kind;
  text += host;
  text += '\n';
  text += path;
  if (query.has_value()) {
    text += '?';
    text += *query;
  }
  return xxh3_128(text);
}

}  // namespace

std::string normalise_path(std::string_view path, bool ignore_case) {
  if (path == "*") return "*";
  std::string clean = normalise_escapes(path, ignore_case);
  if (clean.empty() || clean[0] != '/') clean.insert(0, 1, '/');
  return clean.find("/.") == std::string::npos ? clean : remove_dot_segments(clean);
}

std::optional<std::string> normalise_query(const KeyRules& rules,
                                           std::optional<std::string_view> query) {
  if (!query.has_value() || query->empty() || rules.query == KeyRules::Query::none) {
    return std::nullopt;
  }
  const bool filtered = !rules.query_only.empty() || !rules.query_except.empty();
  std::string clean = clean_query(*query, rules.ignore_case);
  if (!filtered && rules.query == KeyRules::Query::keep) return clean;

  std::vector<std::string_view> kept;
  std::string_view rest = clean;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view parameter = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (parameter.empty()) continue;
    const std::string_view name = parameter_name(parameter);
    if (!rules.query_only.empty() && !named(rules.query_only, name, rules.ignore_case)) continue;
    if (named(rules.query_except, name, rules.ignore_case)) continue;
    kept.push_back(parameter);
  }
  if (rules.query == KeyRules::Query::sort) {
    // Stable: the order of equal names may mean something.
    std::stable_sort(kept.begin(), kept.end(), [](std::string_view a, std::string_view b) {
      return parameter_name(a) < parameter_name(b);
    });
  }
  std::string out;
  for (const std::string_view parameter : kept) {
    if (!out.empty()) out += '&';
    out += parameter;
  }
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

std::string_view host_of(std::string_view authority) {
  size_t end = authority.size();
  if (authority.starts_with('[')) {
    const size_t bracket = authority.find(']');
    if (bracket != std::string_view::npos) end = bracket + 1;
  } else {
    end = std::min(authority.find(':'), authority.size());
  }
  std::string_view host = authority.substr(0, end);
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

std::string normalise_host(std::string_view authority) { return lower_case(host_of(authority)); }

void strip_cookies(http::FieldList& fields, std::span<const std::string> names) {
  if (names.empty() || !fields.has(http::FieldId::cookie)) return;
  const std::string all = cookies_of(fields);
  std::string kept;
  bool stripped = false;
  std::string_view rest = all;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view pair = trim_blanks(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    if (std::find(names.begin(), names.end(), cookie_name(pair)) != names.end()) {
      stripped = true;
      continue;
    }
    if (!kept.empty()) kept += "; ";
    kept += pair;
  }
  if (!stripped) return;
  fields.remove(http::FieldId::cookie);
  if (!kept.empty()) fields.add(http::FieldId::cookie, kept);
}

Hash128 url_purge_key(const KeyRules& rules, std::string_view host, std::string_view path,
                      std::optional<std::string_view> query) {
  const auto kept = normalise_query(rules, query);
  return purge_hash('u', rules.host ? normalise_host(host) : std::string(),
                    normalise_path(path, rules.ignore_case), kept);
}

Hash128 any_query_purge_key(const KeyRules& rules, std::string_view host, std::string_view path) {
  return purge_hash('q', rules.host ? normalise_host(host) : std::string(),
                    normalise_path(path, rules.ignore_case), std::nullopt);
}

Hash128 host_purge_key(std::string_view host) {
  return purge_hash('h', normalise_host(host), "", std::nullopt);
}

std::string make_key_prefix(const SitePolicy& policy) {
  const uint64_t hash = rules_hash(policy.key);
  return policy.name + '\n' + hex({reinterpret_cast<const char*>(&hash), sizeof hash}) + '\n';
}

CacheKey make_key(const SitePolicy& policy, const http::RequestHead& request) {
  CacheKey key;
  make_key(policy, request, key);
  return key;
}

void make_key(const SitePolicy& policy, const http::RequestHead& request, CacheKey& key) {
  const KeyRules& rules = policy.key;
  key.site = policy.site;
  key.kept.reset();
  std::string own_prefix, own_path, own_query;
  if (policy.key_prefix.empty()) own_prefix = make_key_prefix(policy);
  const std::string_view prefix = policy.key_prefix.empty() ? own_prefix : policy.key_prefix;
  const std::string_view method =
      request.method == "HEAD" ? std::string_view("GET") : std::string_view(request.method);
  const std::string_view scheme = rules.scheme ? std::string_view(request.scheme) : "-";
  const std::string_view host = rules.host ? host_of(request.authority) : "";
  const std::string_view path = keyed_path(request.path(), rules.ignore_case, own_path);
  const std::optional<std::string_view> query = keyed_query(rules, request.query(), own_query);
  // No part can hold a line feed: fields and targets are checked by the parsers.
  std::string& text = key.text;
  text.clear();
  {
    Appender parts(text, prefix.size() + method.size() + scheme.size() + host.size() + path.size() +
                             (query ? query->size() : 0) + 4);
    const auto here = [&parts] { return static_cast<uint32_t>(parts.size()); };
    parts.put(prefix).put(method).put("\n").put(scheme).put("\n");
    key.host_at = here();
    parts.put(host).put("\n");
    key.host_size = static_cast<uint32_t>(host.size());
    key.target_at = here();
    parts.put(path);
    key.path_size = here() - key.target_at;
    if (query) parts.put("?").put(*query);
    key.target_size = here() - key.target_at;
  }
  // An authority is in lower case but for one that no parser made.
  for (size_t i = key.host_at; i < key.host_at + key.host_size; ++i) text[i] = lower_case(text[i]);
  for (const std::string& name : rules.headers) {
    text += '\n';
    text += name;
    // A field that is absent and one that is empty are two keys.
    if (const auto value = request.fields.combined(name)) {
      text += ':';
      text += *value;
    }
  }
  if (!rules.cookies.empty()) append_cookies(text, rules, request.fields);
  key.hash = xxh3_128(text, policy.key_seed);
}

PurgeHashes CacheKey::purge_hashes() const {
  if (kept) return *kept;
  std::optional<std::string_view> query;
  if (target_size > path_size) query = target().substr(path_size + 1);
  return {purge_hash('u', host(), path(), query), purge_hash('q', host(), path(), std::nullopt),
          purge_hash('h', host(), "", std::nullopt)};
}

PurgeKeys CacheKey::purge_keys(std::span<const uint64_t> tags) const {
  const PurgeHashes hashes = purge_hashes();
  return {site, hashes.url, hashes.url_any_query, hashes.host, host(), path(), tags};
}

bool CacheKey::find_parts() {
  // Name, rules, method and scheme come before the host, a line each.
  size_t at = 0;
  for (int line = 0; line < 4; ++line) {
    at = text.find('\n', at);
    if (at == std::string::npos) return false;
    ++at;
  }
  const size_t host_end = text.find('\n', at);
  if (host_end == std::string::npos || text.size() > UINT32_MAX) return false;
  const size_t target = host_end + 1;
  const size_t target_end = std::min(text.find('\n', target), text.size());
  const size_t path_end = std::min(text.find('?', target), target_end);
  host_at = static_cast<uint32_t>(at);
  host_size = static_cast<uint32_t>(host_end - at);
  target_at = static_cast<uint32_t>(target);
  target_size = static_cast<uint32_t>(target_end - target);
  path_size = static_cast<uint32_t>(path_end - target);
  return true;
}

}  // namespace bw::edge
