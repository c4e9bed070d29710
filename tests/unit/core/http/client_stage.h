// A client pool and a scripted server on one loop, for tests: the test writes what the server says
// and moves the clock.
//
// Threads: the test's.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/http/client.h"
#include "core/net/connection.h"
#include "core/net/listener.h"

namespace bw::http {

// The server's end of one connection.
struct Served : net::Connection::Events {
  std::unique_ptr<net::Connection> connection;
  std::string got;
  bool ended = false;
  bool dead = false;

  size_t on_data(std::string_view bytes) override {
    got += bytes;
    return bytes.size();
  }
  void on_end() override { ended = true; }
  void on_error(Error) override { dead = true; }
  bool gone() const { return ended || dead; }
  void say(std::string_view bytes) { connection->write_copy(bytes); }
  void end() { connection->finish_writing(); }
};

// What one fetch was told; `when` runs after each event is noted, with its name.
struct Told : ClientHandler {
  std::unique_ptr<ClientStream> stream;
  std::vector<std::string> events;
  std::vector<int> interims;
  std::optional<ResponseHead> head;
  std::string body;
  FieldList trailers;
  bool ended = false;
  bool proven = false;
  std::optional<Error> error;
  int writable = 0;
  std::function<void(const std::string&)> when;

  bool over() const { return ended || error; }
  void note(const std::string& event) {
    events.push_back(event);
    if (when) when(event);
  }
  void on_informational(const ResponseHead& h) override {
    interims.push_back(h.status);
    note("informational");
  }
  void on_head(const ResponseHead& h) override {
    head = h;
    note("head");
  }
  void on_body(std::string_view piece) override {
    body += piece;
    note("body");
  }
  void on_end(const FieldList& t, bool p) override {
    trailers = t;
    ended = true;
    proven = p;
    note("end");
  }
  void on_error(Error e) override {
    error = e;
    note("error");
  }
  void on_writable() override {
    ++writable;
    note("writable");
  }
};

struct ClientStage {
  ManualClock clock;
  net::Loop loop{clock};
  std::vector<std::unique_ptr<Served>> served;
  std::unique_ptr<net::Listener> listener;
  Target target;
  std::unique_ptr<ClientPool> pool;

  explicit ClientStage(ClientLimits limits = {}) {
    std::string why;
    auto socket = net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
    INFO(why);
    REQUIRE(socket.ok());
    target.address = socket->address;
    listener =
        std::make_unique<net::Listener>(loop, socket->fd, [this](int fd, const net::Address& peer) {
          auto end = std::make_unique<Served>();
          end->connection = net::Connection::accepted(loop, fd, peer, nullptr);
          end->connection->set_events(end.get());
          served.push_back(std::move(end));
        });
    pool = std::make_unique<ClientPool>(loop, limits);
  }

  static RequestHead head(std::string method = "GET", std::string path = "/") {
    RequestHead h;
    h.method = std::move(method);
    h.scheme = "http";
    h.authority = "shop.example";
    h.target = std::move(path);
    return h;
  }
  void fetch(Told& told, const RequestHead& h = head(), bool has_body = false,
             const ClientDeadlines& deadlines = {}) {
    told.stream = pool->fetch(target, h, has_body, deadlines, told);
  }
  // Never waits: the clock stands, and loopback is quick.
  void until(const std::function<bool()>& done) {
    for (int i = 0; i < 300'000 && !done(); ++i) loop.turn(false);
    REQUIRE(done());
  }
  // Turns without waiting: what could happen happens.
  void settle(int turns = 8) {
    for (int i = 0; i < turns; ++i) loop.turn(false);
  }
  void advance(Duration d) {
    clock.advance(d);
    settle();
  }
  // Waits until the `n`th connection's input holds `times` whole heads.
  Served& asked(size_t n = 0, size_t times = 1) {
    until([&] {
      if (served.size() <= n) return false;
      size_t found = 0;
      for (size_t at = 0; (at = served[n]->got.find("\r\n\r\n", at)) != std::string::npos; ++at) {
        ++found;
      }
      return found >= times;
    });
    return *served[n];
  }
};

inline constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

}  // namespace bw::http
