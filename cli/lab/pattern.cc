#include "cli/lab/pattern.h"

#include <algorithm>
#include <cstring>

namespace bw::cli {
namespace {

// Eight bytes a number, spread so that no shift of the stream looks like another.
uint64_t word_at(uint64_t number) {
  uint64_t x = number * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
  x = (x ^ (x >> 31)) * 0xbf58476d1ce4e5b9u;
  return x ^ (x >> 29);
}

}  // namespace

void fill_pattern(uint64_t offset, char* out, size_t size) {
  while (size > 0) {
    const uint64_t word = word_at(offset / 8);
    const size_t skip = offset % 8;
    const size_t take = std::min<size_t>(8 - skip, size);
    char bytes[8];
    std::memcpy(bytes, &word, 8);
    std::memcpy(out, bytes + skip, take);
    out += take;
    offset += take;
    size -= take;
  }
}

bool is_pattern(uint64_t offset, std::string_view bytes) {
  char wanted[4096];
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), sizeof wanted);
    fill_pattern(offset, wanted, size);
    if (std::memcmp(wanted, bytes.data(), size) != 0) return false;
    bytes.remove_prefix(size);
    offset += size;
  }
  return true;
}

}  // namespace bw::cli
