// The tags of a response as 64-bit hashes: what a purge by tag or by group finds it by.
//
// Cache-Tag is a list with commas, Surrogate-Key with blanks, Cache-Groups a structured list of
// strings (RFC 9875), scoped to the URI's origin. Bounds: `max` in all and 16 KiB of field text;
// beyond: overflow, and the response isn't stored. A collision over-purges.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/message.h"

namespace bw::edge {

constexpr size_t kMaxTagBytes = 16 * 1024;

struct Tags {
  std::vector<uint64_t> hashes;  // sorted, once each
  bool overflow = false;
};
// `origin`: "https://host" of the request, for Cache-Groups; empty: those aren't looked at.
Tags parse_tags(const http::FieldList& response, size_t max, std::string_view origin = {});
uint64_t tag_hash(std::string_view tag);
// "https://host": what groups are scoped to.
std::string origin_of(const http::RequestHead& request);
// Never that of a tag, but for a collision.
uint64_t group_hash(std::string_view origin, std::string_view group);
// After a 304, a HEAD or a combination an object has the union of old and new tags.
Tags union_of(std::span<const uint64_t> a, std::span<const uint64_t> b, size_t max);

}  // namespace bw::edge
