// LogWriter: the thread that makes purges durable; what waits together is synced together.
//
// Threads: submit() from the loop; the thread owns the LogStore. Results are posted to the loop in
// log order, before any later batch's. Bounds: kMaxWaiting records wait; beyond, submit refuses
// (busy). Lifetime: the destructor finishes what was submitted, then joins; posted results that
// still wait in the loop don't touch the writer.
#pragma once

#include <memory>
#include <vector>

#include "core/base/task.h"
#include "core/net/loop.h"
#include "purge/log_store.h"

namespace bw::purge {

class LogWriter {
 public:
  static constexpr size_t kMaxWaiting = 50'000;
  // Durable records with positions, or why there are none.
  using Done = UniqueFunction<void(Result<std::vector<Record>>)>;

  LogWriter(net::Loop& loop, std::unique_ptr<LogStore> store);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Opens the next epoch, complete. Blocks; once, before anything is submitted.
  Result<Record> begin_epoch(int64_t time_ms);
  Status submit(std::vector<Record> records, Done done);
  // Opens an epoch above both the current one and `above`, not complete.
  Status submit_epoch(uint32_t above, int64_t time_ms, Done done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bw::purge
