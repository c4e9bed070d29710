#include "core/http/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/http/proxy_protocol.h"
#include "core/http/server_connection.h"
#include "core/net/connection.h"

namespace bw::http {
namespace {

constexpr Duration kProxyHeaderTime = std::chrono::seconds(1);
constexpr size_t kLongestProxyHeader = 16 + 1024;
// What an HTTP/2 client sends first (RFC 9113 section 3.4).
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

// One descriptor from accept to close:
//
//   proxied (its PROXY header is awaited) -> opening (its version is) -> serving -> gone
//
// The first state only where the listener asks for it.
class Accepted final : public net::Connection::Events {
 public:
  Accepted(Server::State& server, int fd, const net::Address& peer);
  ~Accepted() override {
    if (fd_ >= 0) ::close(fd_);
  }

  void start();
  void drain();
  void close();

  void on_open() override;
  size_t on_data(std::string_view bytes) override;
  void on_end() override { leave(); }
  void on_error(Error) override { leave(); }

 private:
  void read_proxy_header();
  void open();
  size_t serve(bool http2, std::string_view first);
  void leave();

  Server::State& server_;
  const std::shared_ptr<const ServerOptions> options_;
  int fd_;
  const net::Address from_;
  PeerInfo peer_;
  std::unique_ptr<net::Watch> watch_;
  std::optional<net::Timer> timer_;  // of the two states before serving
  std::unique_ptr<net::Connection> connection_;
  std::unique_ptr<ServerConnection> serving_;
  bool counted_ = false;  // among its client's connections
  bool gone_ = false;
};

struct Server::State {
  State(net::Loop& l, Service& s, ServerOptions o)
      : loop(l), service(s), options(std::make_shared<const ServerOptions>(std::move(o))) {}

  // Whether this client may have one more.
  bool count_client(const net::Address& peer) {
    const size_t most = options->limits.max_connections_per_client;
    if (peer.family() != net::Address::Family::ip) return true;
    size_t& open = of_client[peer.ip()];
    if (most > 0 && open >= most) return false;
    ++open;
    return true;
  }
  void uncount_client(const net::Address& peer) {
    if (peer.family() != net::Address::Family::ip) return;
    const auto it = of_client.find(peer.ip());
    if (it != of_client.end() && --it->second == 0) of_client.erase(it);
  }
  void remove(Accepted* entry) {
    const auto it = entries.find(entry);
    --counters.connections;
    loop.retire(std::move(it->second));
    entries.erase(it);
  }
  // Those of now: entries may leave while they are told something, but live on until next turn.
  std::vector<Accepted*> all() const {
    std::vector<Accepted*> list;
    for (const auto& [entry, owned] : entries) list.push_back(entry);
    return list;
  }

  net::Loop& loop;
  Service& service;
  std::shared_ptr<const ServerOptions> options;
  ServerCounters counters;
  std::unordered_map<Accepted*, std::unique_ptr<Accepted>> entries;
  std::map<net::Ip, size_t> of_client;
  bool draining = false;
};

Accepted::Accepted(Server::State& server, int fd, const net::Address& peer)
    : server_(server), options_(server.options), fd_(fd), from_(peer) {
  peer_.peer = peer;
  timer_.emplace(server.loop, [this] { leave(); });
}

void Accepted::start() {
  if (!options_->proxy_protocol) {
    open();
    return;
  }
  // A UNIX peer is on this host; who may reach the path is the file system's affair.
  const bool trusted =
      from_.family() != net::Address::Family::ip ||
      std::any_of(options_->proxy_trusted.begin(), options_->proxy_trusted.end(),
                  [this](const net::Network& n) { return n.contains(from_.ip()); });
  if (!trusted) {
    ++server_.counters.refused;
    leave();
    return;
  }
  timer_->arm(kProxyHeaderTime);
  read_proxy_header();
}

// Peeked at, so that what follows (a TLS hello, say) stays in the socket.
void Accepted::read_proxy_header() {
  std::array<char, kLongestProxyHeader> buffer;
  const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  if (n <= 0) {
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      leave();
      return;
    }
  } else {
    const Result<ProxyHeader> header = parse_proxy_header({buffer.data(), static_cast<size_t>(n)});
    if (!header || (header->size == 0 && static_cast<size_t>(n) == buffer.size())) {
      ++server_.counters.malformed;
      leave();
      return;
    }
    if (header->size > 0) {
      if (::recv(fd_, buffer.data(), header->size, MSG_DONTWAIT) !=
          static_cast<ssize_t>(header->size)) {
        leave();
        return;
      }
      if (header->source) peer_.peer = *header->source;
      if (header->destination) peer_.local = *header->destination;
      open();
      return;
    }
  }
  if (watch_ != nullptr) return;
  watch_ =
      std::make_unique<net::Watch>(server_.loop, fd_, [this](uint8_t) { read_proxy_header(); });
  watch_->want(net::Watch::arrival);
}

void Accepted::open() {
  if (watch_ != nullptr) {
    watch_->want(0);
    server_.loop.retire(std::move(watch_));
  }
  if (!server_.count_client(peer_.peer)) {
    ++server_.counters.refused;
    leave();
    return;
  }
  counted_ = true;
  connection_ =
      net::Connection::accepted(server_.loop, std::exchange(fd_, -1), from_, options_->tls);
  connection_->set_events(this);
  if (peer_.local.family() == net::Address::Family::none) peer_.local = connection_->local();
  timer_->arm(options_->limits.header_timeout);
}

void Accepted::on_open() {
  if (!connection_->is_tls()) return;
  peer_.tls = true;
  peer_.tls_info = &connection_->tls();
  serve(connection_->tls().alpn == "h2", {});
}

size_t Accepted::on_data(std::string_view bytes) {
  const size_t compared = std::min(bytes.size(), kPreface.size());
  const bool http2 = bytes.substr(0, compared) == kPreface.substr(0, compared);
  if (http2 && bytes.size() < kPreface.size()) return 0;
  return serve(http2, bytes);
}

size_t Accepted::serve(bool http2, std::string_view first) {
  timer_.reset();
  net::Connection* const connection = connection_.get();
  ServerConnectionParts parts{.loop = server_.loop,
                              .connection = std::move(connection_),
                              .peer = peer_,
                              .service = server_.service,
                              .limits = options_->limits,
                              .counters = server_.counters,
                              .closed = [this] { leave(); }};
  serving_ = http2 ? make_h2_server_connection(std::move(parts))
                   : make_h1_server_connection(std::move(parts));
  connection->set_events(serving_.get());
  if (gone_ || first.empty()) return first.size();
  return serving_->on_data(first);
}

void Accepted::drain() {
  if (serving_ != nullptr) {
    serving_->drain();
  } else {
    leave();
  }
}

void Accepted::close() {
  if (serving_ != nullptr) {
    serving_->close();
  } else {
    leave();
  }
}

void Accepted::leave() {
  if (std::exchange(gone_, true)) return;
  if (timer_) timer_->cancel();
  if (watch_ != nullptr) watch_->want(0);
  if (connection_ != nullptr) connection_->close();
  if (counted_) server_.uncount_client(peer_.peer);
  server_.remove(this);
}

Server::Server(net::Loop& loop, Service& service, ServerOptions options)
    : state_(std::make_unique<State>(loop, service, std::move(options))) {}

Server::~Server() { close_all(); }

void Server::accept(int fd, const net::Address& peer) {
  State& s = *state_;
  const size_t most = s.options->limits.max_connections;
  if (s.draining || (most > 0 && s.counters.connections >= most)) {
    ++s.counters.refused;
    ::close(fd);
    return;
  }
  ++s.counters.accepted;
  ++s.counters.connections;
  auto entry = std::make_unique<Accepted>(s, fd, peer);
  Accepted* const raw = entry.get();
  s.entries.emplace(raw, std::move(entry));
  raw->start();
}

void Server::set_options(ServerOptions options) {
  state_->options = std::make_shared<const ServerOptions>(std::move(options));
}

void Server::drain() {
  state_->draining = true;
  for (Accepted* entry : state_->all()) entry->drain();
}

bool Server::empty() const { return state_->entries.empty(); }

void Server::close_all() {
  for (Accepted* entry : state_->all()) entry->close();
}

const ServerCounters& Server::counters() const { return state_->counters; }

}  // namespace bw::http
