// This tier's member of Cache-Status.
//
// See: RFC 9211. `hit` and `fwd` never come together; details are reasons' texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "edge/cache/reason.h"

namespace bw::edge {

enum class Forwarded : uint8_t {
  none,  // a hit
  bypass,
  method,
  uri_miss,
  vary_miss,
  miss,
  request,
  stale,
  partial,
};
std::string_view to_text(Forwarded forwarded);
// Which fwd a reason for not answering from the cache means.
Forwarded forwarded_for(Reason reason);

struct CacheStatus {
  std::string_view node;  // of cache_status_node()
  bool hit = false;       // true: fwd is not written
  Forwarded fwd = Forwarded::none;
  int fwd_status = 0;  // 0: none
  bool stored = false;
  bool collapsed = false;
  std::optional<int64_t> ttl;
  std::string_view detail;  // a token, or anything: then quoted
};
// A node's name as a member of the field: a token if it can be one, else quoted.
std::string cache_status_node(std::string_view name);
std::string cache_status_member(const CacheStatus& status);
// The same, appended.
void append_cache_status_member(std::string& out, const CacheStatus& status);
// `received` (from the origin's side) first, then ours. Either may be empty.
std::string append_cache_status(std::string_view received, std::string_view member);

}  // namespace bw::edge
