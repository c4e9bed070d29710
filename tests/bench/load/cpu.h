#pragma once
// CPU time of other processes, all their threads, in nanoseconds as the scheduler counted it.

#include <cstdint>
#include <vector>

namespace bw::bench {

uint64_t cpu_ns(const std::vector<int>& processes);

}  // namespace bw::bench
