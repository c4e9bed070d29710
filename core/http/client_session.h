// One open connection to a server as its version sees it: what carries the requests of the pool.
//
// Threads: the connection's loop. Lifetime: owned by a ClientConnection, which retires it after
// on_session_closed() and destroys it before the net::Connection. It is that connection's Events
// from its making on (the maker calls set_events). Errors: on a failure each request it carries is
// told (on_error), then its owner.
// Private to core/http: h1_client.cc and h2_client.cc implement it.
#pragma once

#include <cstddef>
#include <memory>

#include "core/http/client.h"
#include "core/http/client_request.h"
#include "core/net/connection.h"
#include "core/net/loop.h"

namespace bw::http {

class ClientSessionOwner {
 public:
  virtual ~ClientSessionOwner() = default;
  // room(), idle() or open() may have changed. The owner may carry() inside this call.
  virtual void on_room_changed() = 0;
  // The connection is closed and carries nothing. Once, the last call.
  virtual void on_session_closed() = 0;
};

struct ClientSessionParts {
  net::Loop& loop;
  net::Connection& connection;  // open: ALPN is known
  ClientSessionOwner& owner;
  ClientLimits limits;
};

class ClientSession : public net::Connection::Events {
 public:
  ~ClientSession() override = default;
  // How many more requests it takes just now.
  virtual size_t room() const = 0;
  // Whether there may be room later (false after a GOAWAY, or once it is closed).
  virtual bool open() const = 0;
  // Carries nothing.
  virtual bool idle() const = 0;
  // Sends a request; calls request->attach() within. False, and the session as it was: its head
  // can't be sent. Only while room() > 0. Calls no handler.
  virtual bool carry(std::shared_ptr<ClientRequest> request) = 0;
  // Closes an idle session; on_session_closed() may come within.
  virtual void close() = 0;
};

// h1_client.cc
std::unique_ptr<ClientSession> make_h1_client_session(ClientSessionParts parts);
// h2_client.cc
std::unique_ptr<ClientSession> make_h2_client_session(ClientSessionParts parts);

}  // namespace bw::http
