// `breakwater check` for files of an edge or shield.
//
// Reads everything the program would read before it starts, binds and connects to nothing.
#pragma once

#include <string>

#include "core/base/settings.h"

namespace bw::edge {

// Errors, and warnings about key files that others can read.
Diagnostics check_edge_file(const std::string& path);
// This program's section of docs/settings.md.
std::string edge_settings_markdown();

}  // namespace bw::edge
