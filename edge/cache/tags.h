// The tags of a response as 64-bit hashes: what a purge by tag finds it by.
//
// Cache-Tag is a list with commas, Surrogate-Key with blanks. Bounds: `max` tags and 16 KiB of
// field text; beyond: overflow, and the response isn't stored. A collision over-purges.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/http/field_list.h"

namespace bw::edge {

constexpr size_t kMaxTagBytes = 16 * 1024;

struct Tags {
  std::vector<uint64_t> hashes;  // sorted, once each
  bool overflow = false;
};
Tags parse_tags(const http::FieldList& response, size_t max);
uint64_t tag_hash(std::string_view tag);
// After a 304, a HEAD or a combination an object has the union of old and new tags.
Tags union_of(std::span<const uint64_t> a, std::span<const uint64_t> b, size_t max);

}  // namespace bw::edge
