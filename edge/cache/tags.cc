#include "edge/cache/tags.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "core/base/digest.h"
#include "core/http/structured_fields.h"
#include "edge/cache/field_text.h"

namespace bw::edge {
namespace {

void sort_once(std::vector<uint64_t>& hashes) {
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

void add_split(std::vector<uint64_t>& hashes, std::string_view text, std::string_view separators) {
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(separators), text.size());
    const std::string_view tag = trim_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!tag.empty()) hashes.push_back(tag_hash(tag));
  }
}

}  // namespace

uint64_t tag_hash(std::string_view tag) { return xxh3_64(tag); }

uint64_t group_hash(std::string_view origin, std::string_view group) {
  std::string text = lower_case(origin);
  text += '\n';  // no tag holds one
  text += group;
  return xxh3_64(text);
}

Tags parse_tags(const http::FieldList& response, size_t max, std::string_view origin) {
  Tags tags;
  size_t bytes = 0;
  for (const http::Field field : response) {
    const bool groups = field.id == http::FieldId::cache_groups && !origin.empty();
    if (field.id == http::FieldId::cache_tag || field.id == http::FieldId::surrogate_key ||
        groups) {
      bytes += field.value.size();
    }
    if (bytes > kMaxTagBytes) {
      tags.hashes.clear();
      tags.overflow = true;
      return tags;
    }
    if (field.id == http::FieldId::cache_tag) add_split(tags.hashes, field.value, ",");
    if (field.id == http::FieldId::surrogate_key) add_split(tags.hashes, field.value, " \t");
  }
  if (!origin.empty()) {
    if (const auto field = response.combined(http::FieldId::cache_groups)) {
      // Members that aren't strings mean nothing (RFC 9875 section 2).
      for (const auto& member : http::sf::parse_list(*field).value_or(http::sf::List())) {
        if (member.inner_list || member.items.size() != 1) continue;
        if (const auto* group = std::get_if<std::string>(&member.items[0].value)) {
          tags.hashes.push_back(group_hash(origin, *group));
        }
      }
    }
  }
  sort_once(tags.hashes);
  tags.overflow = tags.hashes.size() > max;
  if (tags.overflow) tags.hashes.clear();
  return tags;
}

Tags union_of(std::span<const uint64_t> a, std::span<const uint64_t> b, size_t max) {
  Tags tags;
  tags.hashes.assign(a.begin(), a.end());
  tags.hashes.insert(tags.hashes.end(), b.begin(), b.end());
  sort_once(tags.hashes);
  tags.overflow = tags.hashes.size() > max;
  if (tags.overflow) tags.hashes.clear();
  return tags;
}

}  // namespace bw::edge
