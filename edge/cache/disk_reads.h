// Reads of the disk tier: a few threads, a bounded queue, and an answer in time even when they
// hang.
//
// Threads: submit() from any. A watcher answers what waits too long (busy) or hangs (io); whatever
// a hung read brings later is dropped. Bounds: 256 waiting. Lifetime: the destructor runs what is
// queued.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/result.h"
#include "core/base/task.h"

namespace bw::edge {

class DiskReads {
 public:
  struct Limits {
    size_t readers = 4;
    Duration wait{};                          // in the queue
    Duration hang = std::chrono::seconds(2);  // in a reader
  };
  // `on_hang` runs on the watcher.
  DiskReads(Limits limits, Clock& clock, Task on_hang);
  ~DiskReads();
  DiskReads(const DiskReads&) = delete;
  DiskReads& operator=(const DiskReads&) = delete;

  // `work` runs on a reader; exactly one of its answer and an error reaches `done`.
  template <typename T>
  void submit(UniqueFunction<Result<T>()> work, UniqueFunction<void(Result<T>)> done) {
    auto held = std::make_shared<UniqueFunction<void(Result<T>)>>(std::move(done));
    submit_any(
        [work = std::move(work), held]() mutable -> Task {
          return [answer = work(), held]() mutable { (*held)(std::move(answer)); };
        },
        [held](Error error) { (*held)(error); });
  }

 private:
  enum class Stage : uint8_t { queued, running, answered };
  struct Read {
    std::atomic<Stage> stage{Stage::queued};
    std::atomic<int64_t> since_ns{0};
    UniqueFunction<Task()> work;
    UniqueFunction<void(Error)> give_up;
  };
  void submit_any(UniqueFunction<Task()> work, UniqueFunction<void(Error)> give_up);
  void run(Read& read);
  bool claim(Read& read, Stage from);
  void watch();
  void look(std::list<std::shared_ptr<Read>>& reads);

  const Limits limits_;
  Clock& clock_;
  Task on_hang_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<std::shared_ptr<Read>> reads_;
  bool stopping_ = false;
  std::unique_ptr<Executor> executor_;
  std::thread watcher_;
};

}  // namespace bw::edge
