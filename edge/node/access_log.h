// AccessLog: one line a request, written by a thread of its own; nobody else ever waits for it.
//
// Each worker has a sink with a spool of kSpool bytes. A full spool costs lines, counted exactly,
// never requests. Threads: sinks belong to their worker; reopen() and dropped() from
// any thread. Lifetime: sinks live as long as the log; the destructor writes what is spooled, at
// most for a second.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "edge/node/settings.h"
#include "edge/proxy/access_record.h"

namespace bw::edge {

class AccessLog {
 public:
  static constexpr size_t kSpool = 4 << 20;

  struct Node {
    std::string name;
    std::string pop;
  };
  // `why` receives a line for people when the file can't be opened.
  static Result<std::unique_ptr<AccessLog>> open(const LogSettings& settings, Node node,
                                                 size_t sinks, const Clock& clock,
                                                 std::string* why);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  AccessSink& sink(size_t worker);
  // Opens the file anew, after it was moved away.
  void reopen();
  uint64_t dropped() const;

  struct State;

 private:
  explicit AccessLog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// One line of the log, with its newline. Pure.
void append_json_line(std::string& out, const AccessRecord& record, const AccessLog::Node& node,
                      LogSettings::ClientAddress address);
void append_combined_line(std::string& out, const AccessRecord& record,
                          LogSettings::ClientAddress address);

}  // namespace bw::edge
