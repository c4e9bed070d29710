// A RocksDB file system that stops at the first error of the write side as if power had gone.
//
// RocksDB as Debian builds it aborts the process when a disk is full. Behind this it never learns
// of the error: from the latch on every change answers OK and touches nothing, so the directory
// stays as after a kill -9. Whoever writes looks at the latch after each batch. Threads: any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace rocksdb {
class FileSystem;
class Logger;
}  // namespace rocksdb

namespace bw::kv {

class Latch {
 public:
  explicit Latch(std::function<int()> fault) : fault_(std::move(fault)) {}

  bool fallen() const { return fallen_.load(std::memory_order_acquire); }
  bool no_space() const { return no_space_.load(std::memory_order_acquire); }
  std::string text() const;
  void fall(bool no_space, const std::string& text);
  // The errno a test wants the next operation to fail with; 0: none.
  int fault() const { return fault_ ? fault_() : 0; }

 private:
  const std::function<int()> fault_;
  std::atomic<bool> fallen_{false};
  std::atomic<bool> no_space_{false};
  mutable std::mutex mutex_;
  std::string text_;
};

std::shared_ptr<rocksdb::FileSystem> make_crash_stop(std::shared_ptr<Latch> latch);
// RocksDB's own log file is what aborts first on a full disk: its errors go to our log instead.
std::shared_ptr<rocksdb::Logger> make_quiet_log();

}  // namespace bw::kv
