#include "edge/cache/cache_policy.h"

#include "core/base/digest.h"

namespace bw::edge {

uint64_t rules_hash(const KeyRules& rules) {
  std::string text = "1";
  const auto flag = [&](bool value) { text += value ? '1' : '0'; };
  const auto list = [&](const std::vector<std::string>& items) {
    text += '[';
    for (const std::string& item : items) text += std::to_string(item.size()) + ":" + item;
    text += ']';
  };
  flag(rules.scheme);
  flag(rules.host);
  flag(rules.ignore_case);
  text += static_cast<char>('0' + static_cast<int>(rules.query));
  list(rules.query_only);
  list(rules.query_except);
  list(rules.headers);
  list(rules.cookies);
  return xxh3_64(text);
}

}  // namespace bw::edge
