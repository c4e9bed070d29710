// The connections to one target and the requests that wait for one.
//
// HTTP/1.1: a dial for each request that waits, up to max_connections. HTTP/2, or a version still
// to be negotiated: one dial at a time, up to http2_connections. Requests are carried in the order
// they came, on the connection that was used last.
// Threads: its loop's. Lifetime: owned by the pool, told by `on_empty` when it holds nothing.
// Private to core/http.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/http/client_connection.h"

namespace bw::http {

class ClientGroup final : private ClientConnection::Owner {
 public:
  ClientGroup(net::Loop& loop, Target target, const ClientLimits& limits, Task on_empty);
  ~ClientGroup() override;

  void submit(const std::shared_ptr<ClientRequest>& request);
  size_t idle_connections() const;
  size_t open_connections() const;
  void close_idle();

 private:
  void on_connection_open(ClientConnection& connection) override;
  void on_connection_room(ClientConnection& connection) override;
  void on_dial_failed(ClientConnection& connection, Error error) override;
  void on_connection_closed(ClientConnection& connection) override;

  // HTTP/2, or not known yet.
  bool shares_connections() const { return http2_.value_or(true); }
  size_t usable_connections() const;
  void dispatch();
  void carry(const std::shared_ptr<ClientRequest>& request);
  void note_room(ClientConnection& connection);
  void dial_if_needed();
  void fail_waiting(Error error, size_t count);
  void remove(ClientConnection& connection);
  void check_empty();

  net::Loop& loop_;
  const Target target_;
  const ClientLimits limits_;
  Task on_empty_;
  std::optional<bool> http2_;  // as the last dial found it
  std::vector<std::unique_ptr<ClientConnection>> connections_;
  std::vector<ClientConnection*> ready_;  // with room; the last used at the back
  size_t dials_ = 0;
  ClientRequest::Queue waiting_;
};

}  // namespace bw::http
