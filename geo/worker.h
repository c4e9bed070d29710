// Worker: a thread that answers DNS over UDP and TCP on all addresses.
//
// Threads: made, told and destroyed on the main thread before or after its loop runs; the rest on
// its own loop. UDP and TCP of one address share the port, also one that was asked for as 0.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/net/loop_thread.h"
#include "core/net/udp.h"
#include "geo/responder.h"
#include "geo/tcp_server.h"

namespace bw::geo {

class Worker {
 public:
  Worker(std::string name, Clock& clock, RateTable& rates, const DnsMetrics& metrics);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Waits until both sockets are bound; the address with the port that was taken.
  Result<net::Address> listen(const net::Address& address, bool reuse_port, std::string* why);
  void set_snapshot(Snapshot snapshot);

 private:
  class Port;
  Result<net::Address> open(const net::Address& address, bool reuse_port, std::string* why);

  Responder responder_;
  const DnsMetrics& metrics_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<uint8_t> out_;
  std::unique_ptr<net::LoopThread> thread_;
};

// Whether nobody holds the address yet, UDP and TCP: sockets that share a port would not notice.
// Opens and closes both on `loop`.
Status address_is_free(net::Loop& loop, const net::Address& address, std::string* why);

}  // namespace bw::geo
