#include "core/http/bound_server.h"

#include <unistd.h>

#include <utility>

namespace bw::http {

BoundServer::BoundServer(net::Loop& loop, net::ListenSocket socket, std::string kind)
    : loop_(loop), socket_(std::move(socket)), kind_(std::move(kind)) {}

BoundServer::~BoundServer() {
  if (socket_.fd >= 0) ::close(socket_.fd);
  close();
}

void BoundServer::close() {
  listener_.reset();
  if (server_ != nullptr) server_->close_all();
}

Result<std::unique_ptr<BoundServer>> BoundServer::bind(net::Loop& loop, const net::Address& address,
                                                       std::string kind, std::string* why) {
  Result<net::ListenSocket> socket = net::open_listen_socket(address, false, why);
  if (!socket.ok()) return socket.error();
  return std::unique_ptr<BoundServer>(new BoundServer(loop, std::move(*socket), std::move(kind)));
}

void BoundServer::serve(Service& service, ServerOptions options) {
  server_ = std::make_unique<Server>(loop_, service, std::move(options));
  listener_ = std::make_unique<net::Listener>(
      loop_, std::exchange(socket_.fd, -1),
      [this](int fd, const net::Address& peer) { server_->accept(fd, peer); });
}

void BoundServer::drain() {
  listener_.reset();
  server_->drain();
}

}  // namespace bw::http
