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

static_assert(kNameCount <= 128, "the bits of FieldList");

// What tells known names apart: their size and three of their bytes.
constexpr uint32_t traits_of(std::string_view name) {
  const auto byte = [name](size_t i) {
    return static_cast<uint32_t>(static_cast<uint8_t>(lower_case(name[i])));
  };
  return static_cast<uint32_t>(name.size()) | byte(0) << 8 | byte(name.size() / 2) << 16 |
         byte(name.size() - 1) << 24;
}

constexpr size_t kSlotBits = 10;
constexpr size_t slot_of(uint32_t traits, uint32_t factor) {
  return (traits * factor) >> (32 - kSlotBits);
}

// A perfect hash of the known names: the first factor under which none share a slot.
struct NameTable {
  uint32_t factor = 0;
  std::array<uint8_t, size_t{1} << kSlotBits> ids{};
};

constexpr bool fill(NameTable& table, uint32_t factor) {
  table = NameTable{.factor = factor};
  for (size_t i = 1; i < kNameCount; ++i) {
    uint8_t& slot = table.ids[slot_of(traits_of(kNames[i]), factor)];
    if (slot != 0) return false;
    slot = static_cast<uint8_t>(i);
  }
  return true;
}

consteval NameTable make_name_table() {
  NameTable table;
  for (uint32_t i = 1; !fill(table, i * 0x9e3779b1u | 1); ++i) {
  }
  return table;
}
constexpr NameTable kNameTable = make_name_table();

// The only known name that `name` may be; 0: none.
uint8_t candidate(std::string_view name) {
  if (name.empty()) return 0;
  return kNameTable.ids[slot_of(traits_of(name), kNameTable.factor)];
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
  bytes_.append(name);
  for (size_t i = offset; i < bytes_.size(); ++i) bytes_[i] = lower_case(bytes_[i]);
  const FieldId id = field_id_of_lower(std::string_view(bytes_).substr(offset));
  bytes_.append(value);
  note(id);
  entries_.push_back({.id = id,
                      .name = static_cast<uint32_t>(offset),
                      .name_size = static_cast<uint32_t>(name.size()),
                      .value = static_cast<uint32_t>(offset + name.size()),
                      .value_size = static_cast<uint32_t>(value.size())});
}

char* FieldList::copy_block(std::string_view block) {
  BW_CHECK(empty() && block.size() < UINT32_MAX);
  bytes_.assign(block);
  return bytes_.data();
}

void FieldList::add_in_block(FieldId id, std::string_view name, std::string_view value) {
  note(id);
  const auto offset = [this](std::string_view part) {
    return static_cast<uint32_t>(part.data() - bytes_.data());
  };
  entries_.push_back({.id = id,
                      .name = offset(name),
                      .name_size = static_cast<uint32_t>(name.size()),
                      .value = offset(value),
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
  if (entries_.empty()) clear();
}

void FieldList::remove(FieldId id) {
  remove_if([id](const Entry& entry) { return entry.id == id; });
}

void FieldList::remove(std::string_view name) {
  const FieldId id = field_id(name);
  if (id != FieldId::other) return remove(id);
  remove_if([&](const Entry& entry) {
    return entry.id == FieldId::other &&
           equals_lower(std::string_view(bytes_).substr(entry.name, entry.name_size), name);
  });
}

std::optional<std::string_view> FieldList::find_known(FieldId id) const {
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
          .name = bytes.substr(entry.name, entry.name_size),
          .value = bytes.substr(entry.value, entry.value_size)};
}

size_t FieldList::bytes() const {
  size_t total = 0;
  for (const Entry& entry : entries_) total += entry.name_size + entry.value_size + 32;
  return total;
}

FieldId field_id(std::string_view name) {
  const uint8_t i = candidate(name);
  return equals_lower(kNames[i], name) ? static_cast<FieldId>(i) : FieldId::other;
}

FieldId field_id_of_lower(std::string_view name) {
  const uint8_t i = candidate(name);
  return kNames[i] == name ? static_cast<FieldId>(i) : FieldId::other;
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
