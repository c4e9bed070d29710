#include "geo/tcp_server.h"

#include <unistd.h>

#include <array>
#include <string_view>
#include <utility>

namespace bw::geo {

class TcpServer::Client final : public net::Connection::Events {
 public:
  Client(TcpServer& server, std::unique_ptr<net::Connection> connection)
      : server_(server),
        connection_(std::move(connection)),
        ip_(connection_->peer().ip()),
        idle_(server.loop_, [this] { close(true); }) {
    connection_->set_events(this);
    idle_.arm(kIdle);
  }

  const net::Ip& ip() const { return ip_; }

  size_t on_data(std::string_view bytes) override {
    if (ended_) return bytes.size();
    size_t used = 0;
    while (bytes.size() - used >= 2) {
      const std::string_view rest = bytes.substr(used);
      const size_t length =
          size_t{static_cast<uint8_t>(rest[0])} << 8 | static_cast<uint8_t>(rest[1]);
      if (length > kMaxQuery) return close(true), bytes.size();
      if (rest.size() < 2 + length) break;
      if (connection_->buffered() > net::Connection::kHighWater) {
        connection_->pause_reading();
        break;
      }
      if (!answer(rest.substr(2, length))) return close(false), bytes.size();
      used += 2 + length;
      idle_.arm(kIdle);
    }
    return used;
  }
  void on_drained() override {
    if (!ended_) connection_->resume_reading();
  }
  void on_end() override { close(false); }
  void on_error(Error) override {
    if (!ended_) {
      ended_ = true;
      server_.forget(this);
    }
  }

 private:
  bool answer(std::string_view query) {
    const net::Loop& loop = server_.loop_;
    const size_t size = server_.responder_.answer(
        dns::Bytes(reinterpret_cast<const uint8_t*>(query.data()), query.size()), ip_,
        Responder::Transport::tcp, loop.now(), loop.wall(), server_.out_);
    if (size == 0) return false;
    const std::array<char, 2> prefix{static_cast<char>(size >> 8), static_cast<char>(size)};
    connection_->write_copy({prefix.data(), prefix.size()});
    connection_->write_copy({reinterpret_cast<const char*>(server_.out_.data()), size});
    return true;
  }
  void close(bool now) {
    if (ended_) return;
    ended_ = true;
    idle_.cancel();
    if (now) {
      connection_->close();
    } else {
      connection_->close_after_flush();
    }
    server_.forget(this);
  }

  TcpServer& server_;
  std::unique_ptr<net::Connection> connection_;
  net::Ip ip_;
  net::Timer idle_;
  bool ended_ = false;
};

TcpServer::TcpServer(net::Loop& loop, int fd, const Responder& responder, const DnsMetrics& metrics)
    : loop_(loop), responder_(responder), metrics_(metrics), out_(Responder::kMaxAnswer) {
  if (fd < 0) return;
  listener_ = std::make_unique<net::Listener>(
      loop, fd, [this](int accepted, const net::Address& peer) { accept(accepted, peer); });
}

TcpServer::~TcpServer() = default;

void TcpServer::accept(int fd, const net::Address& peer) {
  size_t& mine = per_client_[peer.ip()];
  if (clients_.size() >= kMaxClients || mine >= kMaxPerClient) {
    if (mine == 0) per_client_.erase(peer.ip());
    metrics_.tcp_refused.add();
    ::close(fd);
    return;
  }
  ++mine;
  metrics_.tcp_connections.add();
  auto client =
      std::make_unique<Client>(*this, net::Connection::accepted(loop_, fd, peer, nullptr));
  Client* key = client.get();
  clients_.emplace(key, std::move(client));
}

void TcpServer::forget(Client* client) {
  const auto at = clients_.find(client);
  if (at == clients_.end()) return;
  const auto count = per_client_.find(client->ip());
  if (--count->second == 0) per_client_.erase(count);
  loop_.retire(std::move(at->second));
  clients_.erase(at);
}

}  // namespace bw::geo
