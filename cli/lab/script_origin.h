// ScriptOrigin: an origin inside the lab that answers as a step needs it, and counts.
//
// /probe · /fresh/NAME (cacheable, tag script-NAME) · /slow/NAME (cacheable; its second half waits
// for release()) · /vary (by Accept-Language) · /private/NAME (uncacheable; all but the first wait
// until as many are under way at once as gather() said) · /limited/NAME · /giant?size=N (pattern,
// cacheable) · POST /upload (reads nothing more than a window until release("upload")).
// Threads: its own loop; the methods below from any thread. Bounds: a wait ends after 10 s, by
// breaking the answer off.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "core/http/server.h"
#include "core/net/listener.h"
#include "core/net/loop_thread.h"

namespace bw::cli {

class ScriptOrigin {
 public:
  static std::unique_ptr<ScriptOrigin> make(Clock& clock, std::string* why);
  ~ScriptOrigin();
  ScriptOrigin(const ScriptOrigin&) = delete;
  ScriptOrigin& operator=(const ScriptOrigin&) = delete;

  const net::Address& address() const { return address_; }
  // Requests so far for a path (without its query).
  uint64_t count(const std::string& path) const;
  // Lets what waits under this path's name go on, now and later.
  void release(const std::string& path);
  // How many requests of /private/NAME must be under way at once, the first one not counted.
  void gather(const std::string& path, size_t together);
  // The most that were.
  size_t most_together(const std::string& path) const;
  uint64_t uploaded() const;

 private:
  class Script;
  friend class Script;
  struct Path {
    uint64_t count = 0;
    bool released = false;
    size_t together = 0;
    size_t now = 0;
    size_t most = 0;
  };
  explicit ScriptOrigin(Clock& clock);
  Path path(const std::string& name) const;

  net::Address address_;
  mutable std::mutex mutex_;
  std::map<std::string, Path> paths_;
  uint64_t uploaded_ = 0;
  std::unique_ptr<http::Service> service_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::LoopThread> thread_;
};

}  // namespace bw::cli
