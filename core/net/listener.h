// A listening socket on one loop; several loops listen on one address by SO_REUSEPORT.
//
// Threads: its loop's. Errors: what cannot be bound is told by open() in one clear line. A listener
// out of descriptors rests for 100 ms instead of spinning.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/task.h"
#include "core/net/address.h"
#include "core/net/loop.h"

namespace bw::net {

// Binds and listens: a non-blocking descriptor, and the address with the port that was taken.
struct ListenSocket {
  int fd = -1;
  Address address;
};
// `reuse_port`: more sockets of this process will share the address. fd:NAME takes the descriptor
// systemd handed over under that name (LISTEN_FDS, LISTEN_FDNAMES). UNIX paths are unlinked first
// when nobody answers on them. `why` receives a line for people on failure.
Result<ListenSocket> open_listen_socket(const Address& address, bool reuse_port, std::string* why);

// Whether nobody listens on an IP address and port. Sockets that share one by `reuse_port` don't
// notice another process that shares it too: asked before the first of them is opened.
Status listen_address_is_free(const Address& address, std::string* why);

// Prints `listening on ADDR (KIND)` on stdout, flushed: how a program tells that it is ready.
void tell_listening(const Address& address, std::string_view kind);

class Listener {
 public:
  using Accepted = UniqueFunction<void(int fd, const Address& peer)>;
  // Owns `fd` from here on.
  Listener(Loop& loop, int fd, Accepted accepted);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void pause();
  void resume();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bw::net
