// Requests to servers: a pool of HTTP/1.1 and HTTP/2 connections of one loop.
//
// Threads: its loop's. Lifetime: a ClientStream is a handle; dropping it unfinished cancels the
// request (connection closed, or RST_STREAM). The handler must outlive the handle; it isn't called
// after the handle is gone. Bounds: ClientLimits. Errors: side upstream; `retry` says if_reused
// when a kept-alive connection failed before any byte of a response, yes when nothing was sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/http/message.h"
#include "core/net/address.h"
#include "core/net/loop.h"
#include "core/net/tls.h"

namespace bw::http {

class ClientHandler {
 public:
  virtual ~ClientHandler() = default;
  // A 1xx other than 101.
  virtual void on_informational(const ResponseHead& head) { (void)head; }
  virtual void on_head(const ResponseHead& head) = 0;
  virtual void on_body(std::string_view piece) = 0;  // valid during the call
  // The response is proven whole (length met, final chunk, END_STREAM; an HTTP/1.0 close is not
  // proof and comes as on_end with proven = false).
  virtual void on_end(const FieldList& trailers, bool proven) = 0;
  virtual void on_error(Error error) = 0;  // the last call
  virtual void on_writable() {}            // wants_more() is true again
};

class ClientStream {
 public:
  virtual ~ClientStream() = default;
  virtual void send_body(Slice piece) = 0;
  virtual void finish(const FieldList* trailers = nullptr) = 0;
  virtual bool wants_more() const = 0;
  // Response reading; deadlines between bytes don't run while paused.
  virtual void pause() = 0;
  virtual void resume() = 0;
  virtual bool reused_connection() const = 0;
};

// Where to connect and how. Requests to equal targets share connections.
struct Target {
  enum class Protocol : uint8_t { http1, http2, negotiate };
  net::Address address;
  std::shared_ptr<net::TlsContext> tls;  // null: plain (http2: prior knowledge)
  std::string server_name;               // SNI and verified name
  Protocol protocol = Protocol::http1;
  friend bool operator==(const Target&, const Target&) = default;
};

struct ClientDeadlines {                       // 0: off
  Duration connect = std::chrono::seconds(2);  // with TLS
  Duration first_byte = std::chrono::seconds(15);
  Duration between_bytes = std::chrono::seconds(15);
  Duration total = Duration::zero();
};

struct ClientLimits {
  size_t max_header_size = 64 * 1024;
  size_t max_headers = 256;
  size_t max_connections = 256;  // per target; requests beyond wait for one
  size_t max_waiting = 10'000;   // per target; beyond: busy
  size_t http2_connections = 1;  // per target
  Duration idle_timeout = std::chrono::seconds(55);
};

class ClientPool {
 public:
  ClientPool(net::Loop& loop, ClientLimits limits);
  ~ClientPool();
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;

  // Sends `head` (authority becomes Host or :authority). has_body: send_body and finish follow;
  // without, the request is finished by this call. Never fails inside the call: on_error comes in
  // a later turn.
  std::unique_ptr<ClientStream> fetch(const Target& target, const RequestHead& head, bool has_body,
                                      const ClientDeadlines& deadlines, ClientHandler& handler);
  size_t idle_connections() const;
  size_t open_connections() const;
  void close_idle();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bw::http
