// DNS over TCP on one loop: queries come in a row, each answered as it comes.
//
// Threads: its loop's. Bounds: 5 s from one whole query to the next and for the answer to be taken;
// kMaxClients connections, kMaxPerClient of one address, a query of kMaxQuery. Errors: what isn't a
// query closes the connection. See: RFC 7766.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "core/net/address.h"
#include "core/net/connection.h"
#include "core/net/listener.h"
#include "core/net/loop.h"
#include "geo/metrics.h"
#include "geo/responder.h"

namespace bw::geo {

class TcpServer {
 public:
  static constexpr Duration kIdle = std::chrono::seconds(5);
  static constexpr size_t kMaxClients = 1024;
  static constexpr size_t kMaxPerClient = 32;
  static constexpr size_t kMaxQuery = 4096;

  // Owns `fd`, which listens. The rest outlives it.
  TcpServer(net::Loop& loop, int fd, const Responder& responder, const DnsMetrics& metrics);
  ~TcpServer();
  TcpServer(const TcpServer&) = delete;
  TcpServer& operator=(const TcpServer&) = delete;

  // From the listener; also for tests.
  void accept(int fd, const net::Address& peer);
  size_t clients() const { return clients_.size(); }

 private:
  class Client;
  void forget(Client* client);

  net::Loop& loop_;
  const Responder& responder_;
  const DnsMetrics& metrics_;
  std::vector<uint8_t> out_;
  std::map<Client*, std::unique_ptr<Client>> clients_;
  std::map<net::Ip, size_t> per_client_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace bw::geo
