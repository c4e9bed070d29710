// The fields of a message in the order they came; names in lower case, values without outer blanks.
//
// Bounds: those of the parser that filled it. Lifetime: views it answers live until it is next
// changed. An id that isn't there is told by one bit; one that is compares a byte per field.
// See: RFC 9110 section 5.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bw::http {

// Fields that the product looks at by name. `other`: any name not listed in field_list.cc.
enum class FieldId : uint8_t {
  other,
  accept,
  accept_encoding,
  accept_ranges,
  age,
  allow,
  authorization,
  breakwater_tier_token,
  breakwater_purge_seq,
  breakwater_stale,
  breakwater_hop,
  breakwater_site,
  breakwater_client,
  breakwater_priority,
  breakwater_accepts,
  cache_control,
  cache_group_invalidation,
  cache_groups,
  cache_status,
  cache_tag,
  cdn_cache_control,
  cdn_loop,
  connection,
  content_encoding,
  content_length,
  content_location,
  content_range,
  content_type,
  cookie,
  date,
  etag,
  expect,
  expires,
  forwarded,
  host,
  http2_settings,
  if_match,
  if_modified_since,
  if_none_match,
  if_range,
  if_unmodified_since,
  keep_alive,
  last_modified,
  location,
  max_forwards,
  origin,
  pragma,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  range,
  referer,
  retry_after,
  server,
  set_cookie,
  surrogate_control,
  surrogate_key,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  user_agent,
  vary,
  via,
  www_authenticate,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_proto,
  x_request_id,
};

struct Field {
  FieldId id;
  std::string_view name;  // lower case
  std::string_view value;
};

class FieldList {
 public:
  FieldList() = default;

  void add(std::string_view name, std::string_view value);
  void add(FieldId id, std::string_view value);
  // Removes all of that name, then adds one.
  void set(std::string_view name, std::string_view value);
  void set(FieldId id, std::string_view value);
  void remove(FieldId id);
  void remove(std::string_view name);
  void clear() {
    entries_.clear();
    bytes_.clear();
    known_ = {};
  }
  // For a parser, on an empty list: the lines of a head are copied at once, and its fields then
  // named by views into that copy, in which names are in lower case.
  char* copy_block(std::string_view block);
  void add_in_block(FieldId id, std::string_view name, std::string_view value);

  // The first value of that name.
  std::optional<std::string_view> find(FieldId id) const {
    if (!may_have(id)) return std::nullopt;
    return find_known(id);
  }
  std::optional<std::string_view> find(std::string_view name) const;
  bool has(FieldId id) const { return may_have(id) && find_known(id).has_value(); }
  size_t count(FieldId id) const;
  // All values of that name joined by ", " (RFC 9110 section 5.3); none: nullopt.
  std::optional<std::string> combined(FieldId id) const;
  std::optional<std::string> combined(std::string_view name) const;

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  Field operator[](size_t i) const;
  // Bytes of all names and values, plus 32 a field (as RFC 9113 section 6.5.2 counts).
  size_t bytes() const;
  // Bytes of heap that it holds.
  size_t memory() const { return bytes_.capacity() + entries_.capacity() * sizeof(Entry); }

  class Iterator {
   public:
    Iterator(const FieldList* list, size_t i) : list_(list), i_(i) {}
    Field operator*() const { return (*list_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return i_ != other.i_; }

   private:
    const FieldList* list_;
    size_t i_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, entries_.size()}; }

 private:
  struct Entry {
    FieldId id;
    uint32_t name;  // offsets in bytes_
    uint32_t name_size;
    uint32_t value;
    uint32_t value_size;
  };
  bool may_have(FieldId id) const {
    const size_t i = static_cast<size_t>(id);
    return (known_[i / 64] >> (i % 64) & 1) != 0;
  }
  void note(FieldId id) {
    const size_t i = static_cast<size_t>(id);
    known_[i / 64] |= uint64_t{1} << (i % 64);
  }
  std::optional<std::string_view> find_known(FieldId id) const;
  template <typename Match>
  void remove_if(Match match);

  std::string bytes_;
  std::vector<Entry> entries_;
  std::array<uint64_t, 2> known_{};  // a bit for each id that was added since the last clear()
};

// The id of a name given in any case.
FieldId field_id(std::string_view name);
// The id of a name given in lower case.
FieldId field_id_of_lower(std::string_view name);
// The lower-case name of an id; empty for `other`.
std::string_view field_name(FieldId id);
// token characters only (RFC 9110 section 5.1), at least one.
bool is_field_name(std::string_view name);
// No control byte but tab, no outer blanks (RFC 9110 section 5.5).
bool is_field_value(std::string_view value);
// What a connection says of itself and of the framing, not the maker of a message: writers of
// either version leave it out and say their own (RFC 9110 section 7.6.1, RFC 9113 section 8.2.2).
bool is_connection_field(FieldId id);
// Whether a field of that id may come as a trailer: not framing, routing, modifiers of a request,
// authentication or control of a response (RFC 9110 section 6.5.1).
bool may_be_trailer(FieldId id);

}  // namespace bw::http
