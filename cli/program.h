// Which program a file of settings is for, known by its tables.
//
// Pure. See: `breakwater check [--for PROGRAM] FILE`.
#pragma once

#include <optional>
#include <string>

#include "core/base/tree.h"

namespace bw::cli {

// edge, purged, geodns or origin; nullopt: its tables are of none, or of several.
std::optional<std::string> program_of(const Tree& file);

}  // namespace bw::cli
