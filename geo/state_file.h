// StateFile: what a restart should still know, one small file that is replaced as a whole.
//
// Threads: load() where blocking is allowed; save() on the loop, writes on the executor. Bounds:
// one write at a time, the newest text wins. Errors: logged once until a write succeeds.
#pragma once

#include <memory>
#include <string>

#include "core/base/executor.h"
#include "core/net/loop.h"

namespace bw::geo {

class StateFile {
 public:
  // In `folder`, made when it's missing.
  StateFile(net::Loop& loop, Executor& executor, std::string folder);
  // Empty when there is none, or none that can be read (which is logged).
  std::string load() const;
  void save(std::string text);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace bw::geo
