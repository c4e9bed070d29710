// One request of a client and the answer to it. Above this seam nobody knows the HTTP version.
//
// Way of a request: listener -> connection -> ServerStream -> StreamHandler (the program's side).
// Threads: the connection's loop. Lifetime: the connection owns stream and handler; it retires both
// in the turn after the stream ended, so a handler may drop what it likes inside a call. After
// on_abort() or after finish()/abort() the stream may not be called any more.
// Bounds: output is queued; a producer waits for on_writable() once wants_more() is false. Request
// bodies come only while reading isn't paused; at most one flow-control window waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/http/message.h"
#include "core/http/prepared_head.h"
#include "core/net/address.h"
#include "core/net/connection.h"
#include "core/net/loop.h"

namespace bw::http {

// What a program does with one request.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // A piece of the request body, valid during the call. None comes once the response is finished.
  virtual void on_body(std::string_view piece) = 0;
  // The request is whole. Comes at once, with no trailers, when there's no body.
  virtual void on_body_end(const FieldList& trailers) = 0;
  // wants_more() is true again.
  virtual void on_writable() {}
  // The client is gone, reset the stream, sent a malformed body or passed a deadline. The last
  // call: exactly one of on_abort and on_sent comes, or neither after the handler's own abort().
  virtual void on_abort(Error error) = 0;
  // All of the finished response was given to the kernel: the last call of a stream that ended
  // well. (on_abort comes instead when the client went away before.)
  virtual void on_sent() {}
};

// What is known of who asks.
struct PeerInfo {
  net::Address peer;  // of the connection, or what the PROXY protocol named
  net::Address local;
  bool tls = false;
  net::TlsInfo const* tls_info = nullptr;  // lives as long as the stream; null without TLS
};

class ServerStream {
 public:
  virtual ~ServerStream() = default;

  virtual const RequestHead& request() const = 0;
  virtual const PeerInfo& peer() const = 0;
  virtual net::Loop& loop() const = 0;

  // 100, 103: before send_head, any number. (100 is sent by itself once an expected body is read,
  // so who decides later pauses the body first.)
  virtual void send_informational(int status, const FieldList& fields) = 0;
  // Once. Content-Length comes from head.content_length; without it the framing is chunked,
  // END_STREAM, or the close of an HTTP/1.0 connection. Connection, Transfer-Encoding and
  // Keep-Alive are the connection's business and dropped from `head`. Date is added when it's
  // missing. For HEAD, 204 and 304 nothing but finish() may follow.
  virtual void send_head(const ResponseHead& head) = 0;
  // The same of a head that was prepared once; `more`: what only this answer says, well formed.
  virtual void send_prepared(const PreparedHead& head, std::span<const Field> more);
  virtual void send_body(Slice piece) = 0;
  // The response is whole. Bytes short of a promised Content-Length turn it into abort().
  virtual void finish(const FieldList* trailers = nullptr) = 0;
  // Ends the stream visibly: RST_STREAM, or a close without a final chunk (RST where the end would
  // else look clean).
  virtual void abort(Error error) = 0;
  // Answers "go away after this one": Connection: close, or GOAWAY.
  virtual void close_connection_after() = 0;

  virtual bool wants_more() const = 0;
  // Bytes of body and head that the kernel has taken so far.
  virtual uint64_t bytes_sent() const = 0;
  // Bytes of this stream that are queued and that nobody has taken yet.
  virtual size_t buffered() const { return wants_more() ? 0 : net::Connection::kHighWater; }

  // Body reading: on from the start; stops while paused.
  virtual void pause_body() = 0;
  virtual void resume_body() = 0;
};

// A program's entrance: one per listener, called on each loop that accepts for it.
class Service {
 public:
  virtual ~Service() = default;
  // A request head came. The handler may answer inside this call (on_body_end follows later all the
  // same unless it aborted). The answer must not be null.
  virtual std::unique_ptr<StreamHandler> on_request(ServerStream& stream) = 0;
};

}  // namespace bw::http
