#pragma once
// One client connection: socket, TLS when asked for, and the session that speaks over it.
//
// Threads: one. Errors: a text that ends the run; null: fine.

#include <memory>
#include <string>

#include "tests/bench/load/session.h"

struct ssl_st;
struct ssl_ctx_st;

namespace bw::bench {

// TLS 1.3 only, no session kept: every handshake is a full one.
ssl_ctx_st* make_client_tls(bool h2);

class Connection {
 public:
  Connection(Tally& tally, ssl_ctx_st* tls) : tally_(tally), tls_(tls) {}
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const char* connect(int poll, uint16_t port);
  // By a reset: nothing of it waits in the kernel afterwards.
  void close();
  // What the kernel said of the socket.
  const char* ready(uint32_t events);
  // Requests it would take now.
  uint32_t room() const { return open_ ? session_->room() : 0; }
  void request(const Request& request) { session_->request(request, out_); }
  // Sends what was written; waits for room when the kernel takes less.
  const char* flush();

  bool asked = false;  // for runners that ask once on each

 private:
  const char* read_plain();
  const char* read_tls();
  const char* open();
  void wait_for(uint32_t events);

  Tally& tally_;
  ssl_ctx_st* tls_;
  std::unique_ptr<Session> session_;
  std::string out_;
  size_t sent_ = 0;  // of out_
  ssl_st* ssl_ = nullptr;
  int socket_ = -1;
  int poll_ = -1;
  uint32_t waits_ = 0;
  bool open_ = false;
};

}  // namespace bw::bench
