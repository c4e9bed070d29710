// The bare proxy, for misses: a request goes as it came to an origin connection that is kept, and
// the answer comes back as it came. It stores nothing and rewrites nothing.
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/bench/load/loopback.h"
#include "tests/bench/reference/server.h"

namespace bw::bench {
namespace {

std::array<char, 64 << 10> input;
uint16_t origin_port;
event_base* loop;

class Client;

class Upstream final : public Peer {
 public:
  explicit Upstream(int socket) : Peer(loop, socket, nullptr) {}
  bool readable() override;
  bool writable() override { return false; }
  bool send(std::string_view request) {
    return transport_.write(request.data(), request.size()) == static_cast<int64_t>(request.size());
  }

  Client* client = nullptr;

 private:
  std::string head_;
  size_t left_ = 0;
  bool in_body_ = false;
};

std::vector<Upstream*> pool;

Upstream* take_upstream() {
  if (!pool.empty()) {
    Upstream* kept = pool.back();
    pool.pop_back();
    return kept;
  }
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  send_at_once(socket);
  const sockaddr_in address = loopback(origin_port);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    std::exit(1);
  evutil_make_socket_nonblocking(socket);
  return new Upstream(socket);
}

class Client final : public Peer {
 public:
  using Peer::Peer;
  ~Client() override {
    if (upstream_ != nullptr) upstream_->client = nullptr;
  }

  bool readable() override {
    const int64_t got = transport_.read(input.data(), input.size());
    if (got < 0) return transport_.blocked;
    const std::string_view request(input.data(), static_cast<size_t>(got));
    if (upstream_ != nullptr || !request.ends_with("\r\n\r\n")) return false;
    upstream_ = take_upstream();
    upstream_->client = this;
    return upstream_->send(request);
  }
  bool writable() override { return false; }

  // Answers here are small: what the kernel doesn't take at once is a fault.
  bool pass(const char* data, size_t size, bool last) {
    if (last) upstream_ = nullptr;
    return transport_.write(data, size) == static_cast<int64_t>(size);
  }

 private:
  Upstream* upstream_ = nullptr;
};

bool Upstream::readable() {
  const int64_t got = transport_.read(input.data(), input.size());
  if (got < 0) return transport_.blocked;
  auto size = static_cast<size_t>(got);
  if (!in_body_) {
    head_.append(input.data(), size);
    const size_t end = head_.find("\r\n\r\n");
    const size_t field = head_.find("Content-Length: ");
    if (end == std::string::npos) return true;
    left_ = end + 4 + std::strtoull(head_.c_str() + field + 16, nullptr, 10);
    in_body_ = true;
    std::string bytes = std::move(head_);
    head_.clear();
    left_ -= bytes.size();
    in_body_ = left_ > 0;
    if (client != nullptr) client->pass(bytes.data(), bytes.size(), left_ == 0);
  } else {
    left_ -= size;
    in_body_ = left_ > 0;
    if (client != nullptr) client->pass(input.data(), size, left_ == 0);
  }
  if (!in_body_) {
    client = nullptr;
    pool.push_back(this);
  }
  return true;
}

}  // namespace
}  // namespace bw::bench

int main(int count, char** arguments) {
  const bw::bench::ServerOptions options = bw::bench::parse_server_options(count, arguments);
  bw::bench::origin_port = options.origin_port;
  return bw::bench::serve(options, false,
                          [](event_base* base, int socket, SSL* ssl) -> bw::bench::Peer* {
                            bw::bench::loop = base;
                            return new bw::bench::Client(base, socket, ssl);
                          });
}
