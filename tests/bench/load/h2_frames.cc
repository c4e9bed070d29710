#include "tests/bench/load/h2_frames.h"

namespace bw::bench {
namespace {

// An integer of HPACK with a prefix of so many bits; false: cut.
bool take(std::string_view& block, unsigned bits, uint64_t& value) {
  const uint64_t most = (1U << bits) - 1;
  value = static_cast<uint8_t>(block[0]) & most;
  block.remove_prefix(1);
  if (value < most) return true;
  for (unsigned shift = 0; !block.empty() && shift < 28; shift += 7) {
    const auto byte = static_cast<uint8_t>(block[0]);
    block.remove_prefix(1);
    value += static_cast<uint64_t>(byte & 127U) << shift;
    if (byte < 128) return true;
  }
  return false;
}

bool skip_text(std::string_view& block) {
  uint64_t length = 0;
  if (block.empty() || !take(block, 7, length) || length > block.size()) return false;
  block.remove_prefix(length);
  return true;
}

}  // namespace

bool changes_table(std::string_view block) {
  uint64_t index = 0;
  while (!block.empty()) {
    const auto first = static_cast<uint8_t>(block[0]);
    if (first >= 0x80) {
      if (!take(block, 7, index)) return true;
    } else if (first >= 0x20) {
      return true;  // a new entry or another size
    } else if (!take(block, 4, index) || (index == 0 && !skip_text(block)) || !skip_text(block)) {
      return true;
    }
  }
  return false;
}

}  // namespace bw::bench
