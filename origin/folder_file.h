// Opening files below a folder, and nowhere else: a link that leads out of it isn't followed.
//
// Links that stay below the folder are followed where the kernel proves it (openat2, Linux 5.6);
// elsewhere no link is followed at all. Errors: -1 and errno; EXDEV or ELOOP for a link that may
// not be followed. Blocks.
#pragma once

#include <string>

namespace bw::origin {

// For reading. `path` is relative and has no dot segments.
int open_below(const std::string& folder, const std::string& path);
// The same without openat2.
int open_below_without_links(const std::string& folder, const std::string& path);

}  // namespace bw::origin
