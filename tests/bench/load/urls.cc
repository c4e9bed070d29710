#include "tests/bench/load/urls.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace bw::bench {

Urls::Urls(const Options& options)
    : many_(options.objects > 1), objects_(options.objects), path_(options.path) {
  if (!many_) return;
  digits_ = path_.size();
  path_ += "0000000";
  if (options.choice != Choice::zipf) return;
  std::vector<double> sums(objects_);
  double sum = 0;
  for (uint64_t i = 0; i < objects_; ++i) {
    sums[i] = sum += std::pow(static_cast<double>(i + 1), -options.zipf);
  }
  std::mt19937_64 dice(options.seed);
  std::uniform_real_distribution<double> uniform(0, sum);
  draws_.resize(1U << 21);
  for (uint32_t& draw : draws_) {
    const auto at = std::lower_bound(sums.begin(), sums.end() - 1, uniform(dice)) - sums.begin();
    // Neighbours in rank shouldn't be neighbours in the server's memory.
    draw = static_cast<uint32_t>(static_cast<uint64_t>(at) * 7919 % objects_);
  }
}

}  // namespace bw::bench
