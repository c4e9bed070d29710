// A connected byte stream, plain or TLS, on one loop: reads are pushed, writes are gathered.
//
// Threads: its loop's. Lifetime: owned by its user, who retires it (loop.retire), never inside a
// callback. Bounds: reading pauses while a user asks; what is written is queued without a bound,
// so producers wait for on_drained() once buffered() passes kHighWater. Errors: each ends the
// connection and is told once, by on_error.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/net/address.h"
#include "core/net/loop.h"

namespace bw::net {

class TlsContext;  // core/net/tls.h

// What is known of the TLS session; empty on a plain connection.
struct TlsInfo {
  std::string version;  // "TLSv1.3"
  std::string cipher;
  std::string alpn;       // "h2", "http/1.1" or empty
  std::string sni;        // as the client sent it, lower case
  std::string peer_name;  // subject or first DNS name of a verified client certificate
};

class Connection {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    // Connected, and TLS is done: ALPN is known. Comes before all others, once.
    virtual void on_open() {}
    // Bytes came. Answers how many were consumed; the rest is kept (copied) and comes again in
    // front of what arrives next. `bytes` is valid during the call only.
    virtual size_t on_data(std::string_view bytes) = 0;
    // The peer sent its last byte (FIN or close_notify). What was unconsumed is still unconsumed.
    virtual void on_end() = 0;
    // The connection is dead. Nothing follows.
    virtual void on_error(Error error) = 0;
    // buffered() fell to kLowWater or below after having been above kHighWater.
    virtual void on_drained() {}
    // The kernel took some of what was queued: once a flush, before on_drained().
    virtual void on_progress() {}
  };

  static constexpr size_t kHighWater = 256 * 1024;
  static constexpr size_t kLowWater = 64 * 1024;

  // Takes an accepted descriptor. With `tls`, the handshake starts at once.
  static std::unique_ptr<Connection> accepted(Loop& loop, int fd, Address peer,
                                              std::shared_ptr<TlsContext> tls);
  // Starts to connect. `server_name`: SNI and the name that is verified; empty without TLS.
  static std::unique_ptr<Connection> connect(Loop& loop, const Address& to,
                                             std::shared_ptr<TlsContext> tls,
                                             std::string server_name);
  virtual ~Connection() = default;

  // Before the first turn after it was made. May be changed later, also inside a callback: what
  // that on_data() leaves unconsumed then goes to the new one with what arrives next.
  virtual void set_events(Events* events) = 0;

  // Queues bytes (before on_open too; after the end of writing they are dropped); they leave at the
  // end of the turn in as few system calls as possible.
  virtual void write(Slice bytes) = 0;
  virtual void write_copy(std::string_view bytes) = 0;
  virtual size_t buffered() const = 0;
  // Sends FIN (close_notify) after all that is queued.
  virtual void finish_writing() = 0;
  // Closes at once; what is queued is dropped. reset: with RST, so that a peer cannot mistake it
  // for an end.
  virtual void close(bool reset = false) = 0;
  // Closes after all that is queued has left, then lingers for the peer's FIN at most 1 s. No more
  // input is told, only on_progress; the last event is on_error, of kind `closed` if all went well.
  // The user need not wait for it: destroyed before, the connection finishes on the loop (within 30
  // s).
  virtual void close_after_flush() = 0;

  // Reading is on from the start. After a pause no on_data comes until resumed. Resuming also
  // presents kept bytes again, in a later turn. A reset is told while paused too, an end is not.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;

  virtual bool is_tls() const = 0;
  virtual const TlsInfo& tls() const = 0;
  virtual const Address& peer() const = 0;
  virtual const Address& local() const = 0;
  // When bytes last came in, and when the kernel last took some of ours.
  virtual MonoTime last_read() const = 0;
  virtual MonoTime last_write_progress() const = 0;
};

}  // namespace bw::net
