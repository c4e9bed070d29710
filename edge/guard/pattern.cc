#include "edge/guard/pattern.h"

#include <algorithm>

namespace bw::edge {

bool path_matches(std::string_view pattern, std::string_view path) {
  size_t p = 0;
  size_t s = 0;
  size_t star = std::string_view::npos;
  size_t mark = 0;
  while (s < path.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = s;
    } else if (p < pattern.size() && pattern[p] == path[s]) {
      ++p;
      ++s;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      s = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool any_path_matches(const std::vector<std::string>& patterns, std::string_view path) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(),
                     [path](const std::string& pattern) { return path_matches(pattern, path); });
}

}  // namespace bw::edge
