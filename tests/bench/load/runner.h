#pragma once
// The loop: connections, when a request is sent, what is counted in the measured window.

#include <string>
#include <vector>

#include "tests/bench/load/connection.h"
#include "tests/bench/load/histogram.h"

namespace bw::bench {

class Runner final : public Tally {
 public:
  explicit Runner(const Options& options);
  // Null: all went well.
  const char* run();
  // One line of JSON.
  std::string report(const char* fault) const;

  void done(const Request& request) override;

 private:
  const char* turn();
  const char* pump(Connection& connection);
  const char* hold();
  void arrive();
  void open_window();
  bool over() const;
  int pause_ms() const;

  std::vector<std::unique_ptr<Connection>> connections_;
  ssl_ctx_st* tls_ = nullptr;
  int poll_ = -1;
  uint64_t now_ = 0;    // of this turn
  uint64_t begin_ = 0;  // of the measured window; 0: not yet
  uint64_t warm_ = 0;   // when it begins
  uint64_t end_ = 0;
  uint64_t asked_ = 0, answered_ = 0;  // in it; asked from the start with --requests
  uint64_t server_cpu_ = 0, client_cpu_ = 0;
  Histogram latency_;
  std::vector<Request> due_;  // at a fixed rate: waiting for room on a connection
  size_t due_at_ = 0;
  uint64_t next_due_ = 0;
  uint64_t dice_;
  size_t next_connection_ = 0;
};

}  // namespace bw::bench
