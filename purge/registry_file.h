// The registry's file: written whole beside the old one and renamed over it.
//
// Blocks: never on a loop.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bw::purge {

// A crash leaves the old file or the new one; once it answers well, the new one.
Status write_registry_file(const std::string& path, std::string_view text);

}  // namespace bw::purge
