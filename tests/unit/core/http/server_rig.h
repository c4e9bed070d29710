// A Server with a scripted service and raw clients on one loop, for tests.
//
// Threads: the test's.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/http/server.h"
#include "core/net/connection.h"
#include "core/net/listener.h"
#include "tests/unit/core/net/stream_pair.h"

namespace bw::http {

// What one request went through. Outlives its handler.
struct Seen {
  ServerStream* stream = nullptr;
  RequestHead head;
  std::string body;
  std::vector<std::string> trailers;
  int ends = 0;
  int writable = 0;
  int sent = 0;
  std::optional<Error> aborted;
  bool destroyed = false;
};

class ScriptedService final : public Service {
 public:
  std::function<void(ServerStream&, Seen&)> when_request;
  std::function<void(Seen&, std::string_view)> when_body;
  std::function<void(Seen&)> when_end;
  std::function<void(Seen&)> when_writable;
  std::vector<std::unique_ptr<Seen>> seen;

  std::unique_ptr<StreamHandler> on_request(ServerStream& stream) override {
    seen.push_back(std::make_unique<Seen>());
    Seen& mine = *seen.back();
    mine.stream = &stream;
    mine.head = stream.request();
    if (when_request) when_request(stream, mine);
    return std::make_unique<Handler>(*this, mine);
  }

 private:
  struct Handler final : StreamHandler {
    Handler(ScriptedService& s, Seen& m) : service(s), mine(m) {}
    ~Handler() override { mine.destroyed = true; }
    void on_body(std::string_view piece) override {
      mine.body += piece;
      if (service.when_body) service.when_body(mine, piece);
    }
    void on_body_end(const FieldList& trailers) override {
      ++mine.ends;
      for (Field f : trailers)
        mine.trailers.push_back(std::string(f.name) + "=" + std::string(f.value));
      if (service.when_end) service.when_end(mine);
    }
    void on_writable() override {
      ++mine.writable;
      if (service.when_writable) service.when_writable(mine);
    }
    void on_abort(Error error) override {
      CHECK_FALSE(mine.aborted);
      CHECK(mine.sent == 0);
      mine.aborted = error;
    }
    void on_sent() override {
      CHECK_FALSE(mine.aborted);
      ++mine.sent;
    }
    ScriptedService& service;
    Seen& mine;
  };
};

inline ResponseHead head_of(int status, std::optional<uint64_t> length = std::nullopt) {
  ResponseHead head;
  head.status = status;
  head.fields.add("date", "D");
  head.content_length = length;
  return head;
}
inline void answer(ServerStream& stream, std::string_view body, int status = 200) {
  stream.send_head(head_of(status, body.size()));
  stream.send_body(Slice::copy_of(body));
  stream.finish();
}

struct ServerRig {
  ManualClock clock;
  net::Loop loop{clock};
  ScriptedService service;
  std::unique_ptr<Server> server;
  std::unique_ptr<net::Listener> listener;
  net::Address address;
  std::vector<std::unique_ptr<net::End>> clients;

  explicit ServerRig(ServerOptions options = {}) {
    server = std::make_unique<Server>(loop, service, std::move(options));
    std::string why;
    Result<net::ListenSocket> socket =
        net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
    INFO(why);
    REQUIRE(socket.ok());
    address = socket->address;
    listener = std::make_unique<net::Listener>(
        loop, socket->fd, [this](int fd, const net::Address& peer) { server->accept(fd, peer); });
  }
  ~ServerRig() {
    clients.clear();
    server.reset();
    settle();
  }

  net::End& connect(std::string_view bytes = {}) {
    clients.push_back(std::make_unique<net::End>());
    net::End& end = *clients.back();
    end.take(net::Connection::connect(loop, address, nullptr, {}));
    if (!bytes.empty()) end.connection->write_copy(bytes);
    return end;
  }
  void until(const std::function<bool()>& done) {
    // The test's time stands still; this is how long a busy machine may take.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done() && std::chrono::steady_clock::now() < end) loop.turn(false);
    REQUIRE(done());
  }
  void settle(int turns = 50) {
    for (int i = 0; i < turns; ++i) loop.turn(false);
  }
};

// The connection as its peer sees it: ended, or reset.
inline bool over(const net::End& end) { return end.ended || end.error.has_value(); }

}  // namespace bw::http
