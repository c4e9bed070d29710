// `breakwater check` for files of a GeoDNS program, and its part of docs/settings.md.
//
// Reads everything the program would read before it starts; binds and connects to nothing.
#pragma once

#include <string>

#include "core/base/settings.h"

namespace bw::geo {

Diagnostics check_geodns_file(const std::string& path);
std::string geodns_settings_markdown();

}  // namespace bw::geo
