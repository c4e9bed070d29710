// One accepted connection once its HTTP version is known: what server.cc makes of either version.
//
// Threads: its loop's. Lifetime: owned by its Server; `closed` is called once, last, possibly
// inside an event, and the Server then retires it. It is the net::Connection's Events from its
// making on: the maker calls set_events, and passes it the first bytes. Private to core/http.
#pragma once

#include <memory>
#include <string_view>

#include "core/base/task.h"
#include "core/http/server.h"
#include "core/http/server_stream.h"
#include "core/net/connection.h"
#include "core/net/loop.h"

namespace bw::http {

class ServerConnection : public net::Connection::Events {
 public:
  ~ServerConnection() override = default;
  // Finishes what is under way, tells the peer to go, then closes; an idle one closes now.
  virtual void drain() = 0;
  // Closes at once; handlers are told by on_abort.
  virtual void close() = 0;
  // No request is under way.
  virtual bool idle() const = 0;
};

// What server.cc hands to a version. What is referred to outlives the connection.
struct ServerConnectionParts {
  net::Loop& loop;
  std::unique_ptr<net::Connection> connection;  // open: ALPN is known, peer and local too
  const PeerInfo& peer;                         // tls_info is the connection's
  Service& service;
  const ServerLimits& limits;
  ServerCounters& counters;
  Task closed;
};

// h1_server.cc
std::unique_ptr<ServerConnection> make_h1_server_connection(ServerConnectionParts parts);
// h2_server.cc
std::unique_ptr<ServerConnection> make_h2_server_connection(ServerConnectionParts parts);

// "Thu, 01 Jan 1970 00:00:00 GMT" of the loop's wall clock, made once a second a thread (dates.cc).
std::string_view date_now(const net::Loop& loop);

}  // namespace bw::http
