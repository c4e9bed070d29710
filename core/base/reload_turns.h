// ReloadTurns: reloads one after another. Who asks while one is under way is answered by the next.
//
// What is being read may have changed since it was read, so it answers nobody who asked later.
// Threads: its loop's. Bounds: whoever asks waits in memory; listeners bound how many there are.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/task.h"

namespace bw {

class ReloadTurns {
 public:
  // Gets "" or what is wrong.
  using Done = UniqueFunction<void(std::string wrong)>;

  // `begin` starts a reload, which ends with over(), inside the call or later.
  explicit ReloadTurns(Task begin) : begin_(std::move(begin)) {}

  void ask(Done done) {
    waiting_.push_back(std::move(done));
    begin_next();
  }
  // Takes a turn for something that must not run beside a reload; false: one is under way.
  bool try_take() { return !std::exchange(busy_, true); }
  // What is under way has ended: who asked for it is answered, and the next begins.
  void over(const std::string& wrong = {}) {
    std::vector<Done> served = std::exchange(served_, {});
    busy_ = false;
    for (Done& done : served) done(wrong);
    begin_next();
  }

 private:
  void begin_next() {
    if (waiting_.empty() || !try_take()) return;
    served_ = std::exchange(waiting_, {});
    begin_();
  }

  Task begin_;
  bool busy_ = false;
  std::vector<Done> served_;   // by the one under way
  std::vector<Done> waiting_;  // for the next
};

}  // namespace bw
