// On which continent a country lies.
//
// Pure. Codes: ISO 3166-1 alpha-2 countries; AF AN AS EU NA OC SA, as MaxMind's databases have
// them.
#pragma once

#include <array>
#include <string_view>

namespace bw::geo {

// Two letters, or empty for a code that isn't known.
std::string_view continent_of(std::array<char, 2> country);
bool is_continent(std::string_view text);

}  // namespace bw::geo
