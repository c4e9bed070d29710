// A UDP socket on one loop: packets come in batches, replies leave in batches.
//
// Threads: its loop's. Lifetime: not destroyed inside `received` (loop.retire). Bounds: packets
// longer than kMaxPacket (and from port 0) are dropped, replies beyond kMaxQueued in one turn too;
// both are counted.
// Errors: a reply the kernel refuses is dropped and counted: DNS clients ask again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/task.h"
#include "core/net/address.h"
#include "core/net/loop.h"

namespace bw::net {

class UdpSocket {
 public:
  // `packet` is valid during the call only.
  using Received = UniqueFunction<void(std::string_view packet, const Address& from)>;
  static constexpr size_t kMaxPacket = 4096;
  static constexpr size_t kMaxQueued = 1024;

  // Binds to `address`: an IP (0.0.0.0 and [::] are all of their family) and port (0: any), or
  // fd:NAME as open_listen_socket has it. `reuse_port`: sockets of other loops share the address.
  // `why` receives a line for people on failure.
  static Result<std::unique_ptr<UdpSocket>> open(Loop& loop, const Address& address,
                                                 bool reuse_port, Received received,
                                                 std::string* why = nullptr);
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // Queues one packet (copied); it leaves at the end of the turn with the others. Inside `received`
  // and to the packet's sender, it leaves from the address that the packet came to.
  void send(const Address& to, std::string_view packet);
  const Address& local() const;

  uint64_t dropped_in() const;   // too long, or from port 0
  uint64_t dropped_out() const;  // queue full, or refused by the kernel

 private:
  struct State;
  explicit UdpSocket(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace bw::net
