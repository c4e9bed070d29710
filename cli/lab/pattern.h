// Bytes that anybody can tell from their offset: what the lab sends and proves byte by byte.
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bw::cli {

// The bytes at [offset, offset + size).
void fill_pattern(uint64_t offset, char* out, size_t size);
// Whether `bytes` are those at `offset`.
bool is_pattern(uint64_t offset, std::string_view bytes);

}  // namespace bw::cli
