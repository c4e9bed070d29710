// What the threads of one disk tier share: health, files, catalogue, counters.
//
// Threads: any. Lifetime: outlives writer and reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "edge/cache/catalogue.h"
#include "edge/cache/disk_tier.h"
#include "edge/cache/segment_files.h"

namespace bw::edge {

// Whether the disk may be used. The first failure counts until recover().
class DiskHealth {
 public:
  explicit DiskHealth(Clock& clock) : clock_(clock) {}

  bool ok() const { return state() == DiskState::ok; }
  DiskState state() const { return state_.load(std::memory_order_acquire); }
  std::string reason() const;
  void fail(DiskState state, std::string reason);
  void recover();
  // While it is opened anew: whatever fails then is the reason.
  void opening();
  // More than 10 within a minute are a failure.
  void count_checksum_failure();
  // Told of each failure, on the thread that found it; set before threads start.
  void on_failure(std::function<void()> listener) { listener_ = std::move(listener); }

 private:
  Clock& clock_;
  std::atomic<DiskState> state_{DiskState::off};
  std::function<void()> listener_;
  mutable std::mutex mutex_;
  std::string reason_ = "not opened yet";
  MonoTime minute_;
  int checksum_failures_ = 0;
};

// The state that an error of the disk leads to.
inline DiskState state_after(const Error& error) {
  return error.kind == Error::Kind::no_space ? DiskState::full : DiskState::failed;
}

struct DiskShared {
  DiskShared(DiskOptions given, Clock& time)
      : options(std::move(given)),
        clock(time),
        health(time),
        files(options.path + "/segments", options.write_fault, options.read_fault),
        catalogue(options.path + "/index", options.memory, options.write_fault) {}

  const DiskOptions options;
  Clock& clock;
  DiskHealth health;
  SegmentFiles files;
  Catalogue catalogue;

  std::atomic<uint64_t> used{0}, objects{0}, reads{0}, misses{0}, writes{0}, refused{0},
      not_admitted{0}, checksum_failures{0}, evicted_segments{0}, reopened{0};
  std::atomic<uint64_t> catalogue_faults{0};  // rows that couldn't be read since it was opened
};

}  // namespace bw::edge
