// Whether a key came before: what admission = "second_hit" asks.
//
// A table of fingerprints, one a cell, the newest wins: memory of about the last 65,536 keys.
// Threads: any. Errors in both directions are possible and cost one write more or less.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "core/base/digest.h"

namespace bw::edge {

class SecondHit {
 public:
  // False the first time; remembers.
  bool came_before(const Hash128& key) {
    const auto fingerprint = static_cast<uint32_t>(key.hi >> 32) | 1;  // 0: an empty cell
    return cells_[key.lo % cells_.size()].exchange(fingerprint, std::memory_order_relaxed) ==
           fingerprint;
  }

 private:
  std::array<std::atomic<uint32_t>, 65'536> cells_{};
};

}  // namespace bw::edge
