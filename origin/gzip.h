// Compresses a whole body with gzip. zlib stays in the .cc.
//
// Pure, and slow: on the executor.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bw::origin {

// nullopt when it would not be smaller.
std::optional<std::string> gzip(std::string_view bytes);

}  // namespace bw::origin
