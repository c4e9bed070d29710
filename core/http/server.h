// Serves a Service on accepted connections of one loop: HTTP/1.x and HTTP/2, plain or TLS.
//
// The version is ALPN's on TLS; on a plain connection the client's first bytes decide (prior
// knowledge, RFC 9113 section 3.3). Threads: its loop's. Lifetime: outlives its connections;
// drain() and then empty() tell when none is left. Bounds: ServerLimits, each with its answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/http/server_stream.h"
#include "core/net/address.h"
#include "core/net/tls.h"

namespace bw::http {

struct ServerLimits {
  Duration header_timeout = std::chrono::seconds(10);  // 408
  Duration body_timeout = std::chrono::seconds(30);    // between bytes of a request body
  Duration send_timeout = std::chrono::seconds(30);    // without progress while sending
  Duration idle_timeout = std::chrono::seconds(60);
  size_t max_header_size = 32 * 1024;     // 431
  size_t max_headers = 128;               // 431
  size_t max_uri = 8 * 1024;              // 414
  uint64_t max_body_size = 100ull << 20;  // 413
  size_t max_connections = 0;             // of this loop; 0: none
  size_t max_connections_per_client = 0;  // of this loop; 0: none
  uint32_t max_streams = 128;             // HTTP/2, concurrent
};

struct ServerOptions {
  ServerLimits limits;
  std::shared_ptr<net::TlsContext> tls;  // null: plain
  bool proxy_protocol = false;           // v1 or v2 needed within 1 s, from these only:
  std::vector<net::Network> proxy_trusted;
};

struct ServerCounters {
  uint64_t connections = 0;  // open
  uint64_t accepted = 0;
  uint64_t refused = 0;    // over a connection limit
  uint64_t malformed = 0;  // messages that broke HTTP's rules
  uint64_t requests_http1 = 0;
  uint64_t requests_http2 = 0;
};

class Server {
 public:
  Server(net::Loop& loop, Service& service, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Takes a connected descriptor (from net::Listener).
  void accept(int fd, const net::Address& peer);
  // For connections from now on.
  void set_options(ServerOptions options);
  // Finishes what is under way, tells peers to go (Connection: close, GOAWAY), closes idle ones.
  void drain();
  bool empty() const;
  // Closes all at once.
  void close_all();
  const ServerCounters& counters() const;

  struct State;  // server.cc's

 private:
  std::unique_ptr<State> state_;
};

}  // namespace bw::http
