// A listener and a client on one loop, for tests: two ends whose events are recorded.
//
// Threads: the test's.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/net/connection.h"
#include "core/net/listener.h"

namespace bw::net {

// Records what happens to one end; hooks let a test act inside a callback.
struct End : Connection::Events {
  std::unique_ptr<Connection> connection;
  std::string got;
  bool open = false;
  bool ended = false;
  int drained = 0;
  int progressed = 0;
  std::optional<Error> error;
  std::function<void()> when_open;
  std::function<size_t(std::string_view)> when_data;
  std::function<void()> when_drained;
  std::function<void()> when_progress;

  void take(std::unique_ptr<Connection> taken) {
    connection = std::move(taken);
    connection->set_events(this);
  }
  void on_open() override {
    open = true;
    if (when_open) when_open();
  }
  size_t on_data(std::string_view bytes) override {
    if (when_data) return when_data(bytes);
    got += bytes;
    return bytes.size();
  }
  void on_end() override { ended = true; }
  void on_error(Error e) override { error = e; }
  void on_drained() override {
    ++drained;
    if (when_drained) when_drained();
  }
  void on_progress() override {
    ++progressed;
    if (when_progress) when_progress();
  }
};

struct StreamPair {
  SystemClock clock;
  Loop loop{clock};
  End client;
  End server;
  std::unique_ptr<Listener> listener;
  Address address;

  explicit StreamPair(std::shared_ptr<TlsContext> server_tls = nullptr,
                      const std::string& where = "127.0.0.1:0") {
    std::string why;
    Result<ListenSocket> socket = open_listen_socket(*Address::parse(where), false, &why);
    INFO(why);
    REQUIRE(socket.ok());
    address = socket->address;
    listener = std::make_unique<Listener>(loop, socket->fd, [=, this](int fd, const Address& peer) {
      server.take(Connection::accepted(loop, fd, peer, server_tls));
    });
  }
  void connect(std::shared_ptr<TlsContext> tls = nullptr, std::string name = {}) {
    client.take(Connection::connect(loop, address, std::move(tls), std::move(name)));
  }
  void until(const std::function<bool()>& done) {
    for (int i = 0; i < 200'000 && !done(); ++i) loop.turn(true);
    REQUIRE(done());
  }
  void open() {
    until([this] { return client.open && server.open; });
  }
  // Turns without waiting: what could happen happens.
  void settle(int turns = 50) {
    for (int i = 0; i < turns; ++i) loop.turn(false);
  }
};

inline std::string pattern(size_t size, uint64_t seed) {
  SeededRandom random(seed);
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, std::min<size_t>(8, size - i));
  }
  return bytes;
}

}  // namespace bw::net
