// Small files as a whole: read within a bound, or replaced so that nobody ever sees a half.
//
// Blocks: on an executor or before loops run. Errors: errno's, on the side of storage; not_found
// when nothing is there; too_large over the bound.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bw {

Result<std::string> read_file(const std::string& path, size_t most);

// Writes a new file beside `path`, syncs it, renames it over `path` and syncs the folder: a crash
// leaves the old file or the new one, and success is durable. `mode` is that of the new file.
Status replace_file(const std::string& path, std::string_view bytes, mode_t mode = 0644);

}  // namespace bw
