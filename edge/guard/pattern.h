// Path patterns of rules and limits: `*` stands for any bytes, `?` and the rest for themselves.
//
// Pure; linear in the path for one star, at worst pattern × path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bw::edge {

bool path_matches(std::string_view pattern, std::string_view path);
// Any of them; none given: true.
bool any_path_matches(const std::vector<std::string>& patterns, std::string_view path);

}  // namespace bw::edge
