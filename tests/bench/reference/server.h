#pragma once
// What the bare references share: a loop with one listener, connections that wait on raw events, a
// transport that is a socket or TLS on it. No deadlines, no rules, no log.

#include <event2/event.h>
#include <openssl/ssl.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace bw::bench {

struct ServerOptions {
  uint16_t port = 0, tls_port = 0;  // 0: no such listener
  std::string cert, key;
  uint16_t origin_port = 0;
};
ServerOptions parse_server_options(int count, char** arguments);

// Bytes of a non-blocking connection; -1 with `blocked` or a failure.
class Transport {
 public:
  Transport(int socket, SSL* ssl) : socket_(socket), ssl_(ssl) {}
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  int64_t read(char* data, size_t size);
  int64_t write(const char* data, size_t size);
  // Plain only.
  int64_t write(const iovec* pieces, int count);
  bool tls() const { return ssl_ != nullptr; }
  int socket() const { return socket_; }
  bool blocked = false;

 private:
  int64_t settle(int done);

  int socket_;
  SSL* ssl_;
};

class Peer {
 public:
  Peer(event_base* base, int socket, SSL* ssl);
  virtual ~Peer();
  // False: close it.
  virtual bool readable() = 0;
  virtual bool writable() = 0;

 protected:
  void want_write(bool on);
  Transport transport_;

 private:
  static void on_event(int, short what, void* self);

  event* read_event_;
  event* write_event_;
  bool writing_ = false;
};

using MakePeer = Peer* (*)(event_base* base, int socket, SSL* ssl);
// Serves until SIGTERM.
int serve(const ServerOptions& options, bool h2, MakePeer make);

// The answer's bytes for a path that content.h understands, made once.
struct Answer {
  std::string bytes;  // head and body
  size_t head = 0;    // of it
};
const Answer& answer_of(std::string_view path);

}  // namespace bw::bench
