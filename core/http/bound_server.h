// A server and the one socket it accepts from, for programs whose API has a single loop.
//
// Threads: its loop's. Lifetime: bind() takes the address, serve() begins to accept: between them
// clients wait in the queue, and a program started as root may become somebody else.
#pragma once

#include <memory>
#include <string>

#include "core/http/server.h"
#include "core/net/listener.h"

namespace bw::http {

// What a server of endpoints lets through: they refuse more than their bound as a problem.
constexpr uint64_t kMaxRefusedBody = 1ull << 40;

class BoundServer {
 public:
  // `kind`: http, https or admin. `why` receives a line for people on failure.
  static Result<std::unique_ptr<BoundServer>> bind(net::Loop& loop, const net::Address& address,
                                                   std::string kind, std::string* why);
  ~BoundServer();
  BoundServer(const BoundServer&) = delete;
  BoundServer& operator=(const BoundServer&) = delete;

  // `service` outlives it.
  void serve(Service& service, ServerOptions options);
  // Once serve() was called.
  Server& server() { return *server_; }
  void tell_ready() const { net::tell_listening(socket_.address, kind_); }
  // Nobody comes in any more, and what is under way is finished.
  void drain();
  // All ends at once.
  void close();

 private:
  BoundServer(net::Loop& loop, net::ListenSocket socket, std::string kind);

  net::Loop& loop_;
  net::ListenSocket socket_;  // the descriptor is the listener's once it serves
  const std::string kind_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace bw::http
