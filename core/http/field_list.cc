#include "core/http/field_list.h"

#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "core/http/h1_syntax.h"

namespace bw::http {
namespace {

// In the order of FieldId.
constexpr std::string_view kNames[] = {
    "",
    "accept",
    "accept-encoding",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "breakwater-tier-token",
    "breakwater-purge-seq",
    "breakwater-stale",
    "breakwater-hop",
    "breakwater-site",
    "breakwater-client",
    "breakwater-priority",
    "breakwater-accepts",
    "cache-control",
    "cache-group-invalidation",
    "cache-groups",
    "cache-status",
    "cache-tag",
    "cdn-cache-control",
    "cdn-loop",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "retry-after",
    "server",
    "set-cookie",
    "surrogate-control",
    "surrogate-key",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
};
constexpr size_t kNameCount = std::size(kNames);
static_assert(kNameCount == static_cast<size_t>(FieldId::x_request_id) + 1);

constexpr uint8_t byte(char c) { return static_cast<uint8_t>(c); }

constexpr uint32_t mix(uint32_t hash, char c) { return (hash ^ byte(c)) * 0x01000193u; }
constexpr size_t kSlots = 1024;
constexpr size_t slot_of(uint32_t hash) { return (hash ^ (hash >> 15)) % kSlots; }

// A perfect hash of the known names: the first start value under which none share a slot.
struct NameTable {
  uint32_t start = 0;
  std::array<uint8_t, kSlots> ids{};
};

constexpr bool fill(NameTable& table, uint32_t start) {
  table = NameTable{.start = start};
  for (size_t i = 1; i < kNameCount; ++i) {
    uint32_t hash = start;
    for (char c : kNames[i]) hash = mix(hash, c);
    uint8_t& slot = table.ids[slot_of(hash)];
    if (slot != 0) return false;
    slot = static_cast<uint8_t>(i);
  }
  return true;
}

consteval NameTable make_name_table() {
  NameTable table;
  for (uint32_t start = 1; !fill(table, start * 0x9e3779b9u); ++start) {
  }
  return table;
}
constexpr NameTable kNameTable = make_name_table();

FieldId id_by_hash(uint32_t hash, std::string_view lower_name) {
  const uint8_t i = kNameTable.ids[slot_of(hash)];
  return kNames[i] == lower_name ? static_cast<FieldId>(i) : FieldId::other;
}

bool equals_lower(std::string_view lower, std::string_view any_case) {
  return lower.size() == any_case.size() &&
         std::equal(lower.begin(), lower.end(), any_case.begin(),
                    [](char a, char b) { return a == lower_case(b); });
}

}  // namespace

void FieldList::add(std::string_view name, std::string_view value) {
  const size_t offset = bytes_.size();
  BW_CHECK(offset + name.size() + value.size() < UINT32_MAX);
  bytes_.reserve(offset + name.size() + value.size());
  uint32_t hash = kNameTable.start;
  for (char c : name) {
    const char lower = lower_case(c);
    hash = mix(hash, lower);
    bytes_.push_back(lower);
  }
  const FieldId id = id_by_hash(hash, std::string_view(bytes_).substr(offset));
  bytes_.append(value);
  entries_.push_back({.id = id,
                      .offset = static_cast<uint32_t>(offset),
                      .name_size = static_cast<uint32_t>(name.size()),
                      .value_size = static_cast<uint32_t>(value.size())});
}

void FieldList::add(FieldId id, std::string_view value) {
  BW_CHECK(id != FieldId::other);
  add(field_name(id), value);
}

void FieldList::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void FieldList::set(FieldId id, std::string_view value) {
  remove(id);
  add(id, value);
}

template <typename Match>
void FieldList::remove_if(Match match) {
  std::erase_if(entries_, match);
  if (entries_.empty()) bytes_.clear();
}

void FieldList::remove(FieldId id) {
  remove_if([id](const Entry& entry) { return entry.id == id; });
}

void FieldList::remove(std::string_view name) {
  const FieldId id = field_id(name);
  if (id != FieldId::other) return remove(id);
  remove_if([&](const Entry& entry) {
    return entry.id == FieldId::other &&
           equals_lower(std::string_view(bytes_).substr(entry.offset, entry.name_size), name);
  });
}

void FieldList::clear() {
  entries_.clear();
  bytes_.clear();
}

std::optional<std::string_view> FieldList::find(FieldId id) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].id == id) return (*this)[i].value;
  }
  return std::nullopt;
}

std::optional<std::string_view> FieldList::find(std::string_view name) const {
  const FieldId id = field_id(name);
  if (id != FieldId::other) return find(id);
  for (Field field : *this) {
    if (field.id == FieldId::other && equals_lower(field.name, name)) return field.value;
  }
  return std::nullopt;
}

size_t FieldList::count(FieldId id) const {
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(),
                                           [id](const Entry& entry) { return entry.id == id; }));
}

std::optional<std::string> FieldList::combined(FieldId id) const {
  return combined(field_name(id));
}

std::optional<std::string> FieldList::combined(std::string_view name) const {
  const FieldId id = field_id(name);
  std::optional<std::string> joined;
  for (Field field : *this) {
    if (field.id != id || (id == FieldId::other && !equals_lower(field.name, name))) continue;
    if (joined) {
      joined->append(", ").append(field.value);
    } else {
      joined.emplace(field.value);
    }
  }
  return joined;
}

Field FieldList::operator[](size_t i) const {
  const Entry& entry = entries_[i];
  const std::string_view bytes(bytes_);
  return {.id = entry.id,
          .name = bytes.substr(entry.offset, entry.name_size),
          .value = bytes.substr(entry.offset + entry.name_size, entry.value_size)};
}

size_t FieldList::bytes() const {
  size_t total = 0;
  for (const Entry& entry : entries_) total += entry.name_size + entry.value_size + 32;
  return total;
}

FieldId field_id(std::string_view name) {
  uint32_t hash = kNameTable.start;
  for (char c : name) hash = mix(hash, lower_case(c));
  const uint8_t i = kNameTable.ids[slot_of(hash)];
  return equals_lower(kNames[i], name) ? static_cast<FieldId>(i) : FieldId::other;
}

std::string_view field_name(FieldId id) { return kNames[static_cast<size_t>(id)]; }

bool is_field_name(std::string_view name) { return is_token(name); }

bool is_field_value(std::string_view value) {
  return is_text(value) && trim_blanks(value).size() == value.size();
}

bool is_connection_field(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::content_length:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return true;
    default:
      return false;
  }
}

bool may_be_trailer(FieldId id) {
  switch (id) {
    case FieldId::age:
    case FieldId::authorization:
    case FieldId::cache_control:
    case FieldId::cdn_cache_control:
    case FieldId::connection:
    case FieldId::content_encoding:
    case FieldId::content_length:
    case FieldId::content_location:
    case FieldId::content_range:
    case FieldId::content_type:
    case FieldId::cookie:
    case FieldId::date:
    case FieldId::expect:
    case FieldId::expires:
    case FieldId::forwarded:
    case FieldId::host:
    case FieldId::http2_settings:
    case FieldId::if_match:
    case FieldId::if_modified_since:
    case FieldId::if_none_match:
    case FieldId::if_range:
    case FieldId::if_unmodified_since:
    case FieldId::keep_alive:
    case FieldId::location:
    case FieldId::max_forwards:
    case FieldId::pragma:
    case FieldId::proxy_authenticate:
    case FieldId::proxy_authorization:
    case FieldId::proxy_connection:
    case FieldId::range:
    case FieldId::retry_after:
    case FieldId::set_cookie:
    case FieldId::surrogate_control:
    case FieldId::te:
    case FieldId::trailer:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
    case FieldId::vary:
    case FieldId::www_authenticate:
    case FieldId::x_forwarded_for:
    case FieldId::x_forwarded_host:
    case FieldId::x_forwarded_proto:
      return false;
    default:
      return true;
  }
}

}  // namespace bw::http
