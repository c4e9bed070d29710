// How bytes of a connection pass its descriptor: as they are, or as TLS records.
//
// Threads: its connection's loop. Lifetime: owned by the connection, which owns the descriptor.
// Errors: Io::failed ends the connection.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/net/connection.h"

namespace bw::net {

// Slices that wait to be sent, in order. Empty, it owns no memory: the thread keeps it for others.
class WriteQueue {
 public:
  void push(Slice slice);
  // Copies: small pieces share blocks of the thread, and one segment where they touch.
  void push_copy(std::string_view bytes);
  bool empty() const { return bytes_ == 0; }
  size_t bytes() const { return bytes_; }
  const Slice& front() const { return slices_[first_]; }
  // The first segments, at most `limit`; answers how many.
  size_t gather(iovec* out, size_t limit) const;
  // Copies the first bytes; answers how many.
  size_t copy_front(char* out, size_t size) const;
  void consume(size_t bytes);
  void clear();

 private:
  void append(Slice slice);

  std::vector<Slice> slices_;  // those before first_ have left
  size_t first_ = 0;
  size_t bytes_ = 0;
};

struct Io {
  enum class Status : uint8_t { progress, again, end, failed };
  Status status = Status::progress;
  size_t bytes = 0;
  bool drained = false;  // read: the descriptor had no more just now
  Error error{};

  static Io failure(Error error) { return Io{.status = Status::failed, .error = error}; }
  static Io again() { return Io{.status = Status::again}; }
};

class Transport {
 public:
  virtual ~Transport() = default;
  // progress: done; again: wait for the descriptor.
  virtual Io handshake() = 0;
  virtual Io read(char* out, size_t size) = 0;
  // Sends from the queue, or what it took before; `bytes`: what the kernel took.
  virtual Io write(WriteQueue& queue) = 0;
  // The end of our bytes, once all of them were written.
  virtual Io finish() = 0;
  // Bytes taken from the queue that the kernel has not taken yet.
  virtual size_t pending_out() const = 0;
  // Whether read() has bytes that the descriptor will not tell of.
  virtual bool pending_in() const = 0;
  virtual const TlsInfo& info() const = 0;
};

std::unique_ptr<Transport> make_plain_transport(int fd, Error::Side side);
// `server`: accepts; else connects to `server_name`.
std::unique_ptr<Transport> make_tls_transport(int fd, Error::Side side,
                                              const std::shared_ptr<TlsContext>& context,
                                              bool server, const std::string& server_name);

// What errno of a socket call means for its connection.
Error socket_error(int code, std::string_view text, Error::Side side);

}  // namespace bw::net
