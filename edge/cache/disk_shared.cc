#include "edge/cache/disk_shared.h"

#include "core/base/log.h"

namespace bw::edge {

std::string DiskHealth::reason() const {
  std::lock_guard lock(mutex_);
  return state_.load(std::memory_order_relaxed) == DiskState::ok ? std::string() : reason_;
}

void DiskHealth::fail(DiskState state, std::string reason) {
  {
    std::lock_guard lock(mutex_);
    const DiskState now = state_.load(std::memory_order_relaxed);
    if (now == DiskState::ok) {
      log::error("disk tier: memory only from now on: " + reason);
    } else if (reason_ != reason) {
      log::warning("disk tier: still memory only: " + reason);
    }
    // A read that fails because the tier is failing doesn't hide the cause.
    if (now == DiskState::ok || now == DiskState::off || state == DiskState::full) {
      state_.store(state, std::memory_order_release);
    }
    reason_ = std::move(reason);
  }
  if (listener_) listener_();
}

void DiskHealth::opening() {
  std::lock_guard lock(mutex_);
  state_.store(DiskState::off, std::memory_order_release);
}

void DiskHealth::recover() {
  std::lock_guard lock(mutex_);
  checksum_failures_ = 0;
  state_.store(DiskState::ok, std::memory_order_release);
}

void DiskHealth::count_checksum_failure() {
  {
    std::lock_guard lock(mutex_);
    const MonoTime now = clock_.mono();
    if (now - minute_ > std::chrono::seconds(60)) {
      minute_ = now;
      checksum_failures_ = 0;
    }
    if (++checksum_failures_ <= 10) return;
    checksum_failures_ = 0;
  }
  fail(DiskState::failed, "more than 10 checksum failures in a minute");
}

}  // namespace bw::edge
