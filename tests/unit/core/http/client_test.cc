// The pool: who is carried when, what ends a wait, and that a request may be dropped at any time.
#include "core/http/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/core/http/client_stage.h"

using namespace bw;
using namespace bw::http;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A socket whose queue of connections is full: a further one is neither made nor refused.
struct FullListener {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int filler = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  net::Address address;

  FullListener() {
    sockaddr_storage raw;
    socklen_t size = net::Address::parse("127.0.0.1:0")->to_sockaddr(raw);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&raw), size) == 0);
    REQUIRE(::listen(fd, 0) == 0);
    size = sizeof raw;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &size) == 0);
    address = net::Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw));
    REQUIRE(::connect(filler, reinterpret_cast<sockaddr*>(&raw), size) == 0);
  }
  ~FullListener() {
    ::close(filler);
    ::close(fd);
  }
};

}  // namespace

TEST_CASE("client pool: beyond max_connections requests wait in order") {
  ClientLimits limits;
  limits.max_connections = 1;
  limits.max_waiting = 2;
  ClientStage stage(limits);
  Told a;
  Told b;
  Told c;
  stage.fetch(a, ClientStage::head("GET", "/a"));
  stage.fetch(b, ClientStage::head("GET", "/b"));
  Served& server = stage.asked();
  stage.fetch(c, ClientStage::head("GET", "/c"));
  Told refused;
  stage.fetch(refused);
  CHECK_FALSE(refused.error);
  stage.until([&] { return refused.over(); });
  CHECK(refused.error->kind == Error::Kind::busy);
  CHECK(refused.error->retry == Error::Retry::yes);
  server.say(kOk);
  stage.until([&] { return a.over(); });
  stage.asked(0, 2).say(kOk);
  stage.until([&] { return b.over(); });
  stage.asked(0, 3).say(kOk);
  stage.until([&] { return c.over(); });
  CHECK(server.got.find("/a") < server.got.find("/b"));
  CHECK(server.got.find("/b") < server.got.find("/c"));
  CHECK(stage.served.size() == 1);
}

TEST_CASE("client pool: the connection used last is used next, and idle ones go in time") {
  ClientStage stage;
  Told a;
  Told b;
  stage.fetch(a);
  stage.fetch(b, ClientStage::head(), false, {.first_byte = seconds(100)});
  stage.asked(0);
  stage.asked(1);
  stage.served[0]->say(kOk);
  stage.until([&] { return a.over() || b.over(); });
  stage.advance(seconds(30));
  stage.served[1]->say(kOk);
  stage.until([&] { return a.over() && b.over(); });
  CHECK(stage.pool->idle_connections() == 2);
  Told c;
  stage.fetch(c);
  stage.asked(1, 2).say(kOk);
  stage.until([&] { return c.over(); });
  stage.advance(seconds(26));
  CHECK(stage.pool->idle_connections() == 1);
  stage.until([&] { return stage.served[0]->gone(); });
  stage.advance(seconds(30));
  CHECK(stage.pool->open_connections() == 0);
}

TEST_CASE("client pool: close_idle closes what carries nothing") {
  ClientStage stage;
  Told a;
  Told b;
  stage.fetch(a);
  stage.fetch(b);
  stage.asked(0).say(kOk);
  stage.asked(1);
  stage.until([&] { return a.over() || b.over(); });
  CHECK(stage.pool->open_connections() == 2);
  stage.pool->close_idle();
  CHECK(stage.pool->open_connections() == 1);
  stage.served[1]->say(kOk);
  stage.until([&] { return a.over() && b.over(); });
  CHECK_FALSE(a.error);
  CHECK_FALSE(b.error);
}

TEST_CASE("client pool: nobody listens: each request fails, and may be retried") {
  ClientStage stage;
  stage.listener.reset();
  Told a;
  Told b;
  stage.fetch(a);
  stage.fetch(b);
  CHECK_FALSE(a.error);
  stage.until([&] { return a.over() && b.over(); });
  CHECK(a.error->kind == Error::Kind::unreachable);
  CHECK(a.error->retry == Error::Retry::yes);
  CHECK(a.error->side == Error::Side::upstream);
  CHECK(b.error->kind == Error::Kind::unreachable);
}

TEST_CASE("client pool: a head that cannot be sent is an error, and the connection is kept") {
  ClientStage stage;
  RequestHead bad = ClientStage::head("GET", "/a b");
  Told told;
  stage.fetch(told, bad);
  stage.until([&] { return told.over(); });
  CHECK(told.error->kind == Error::Kind::malformed);
  CHECK(stage.pool->idle_connections() == 1);
}

TEST_CASE("client pool: each deadline ends the request at its time") {
  ClientDeadlines deadlines{.connect = seconds(2),
                            .first_byte = seconds(15),
                            .between_bytes = seconds(10),
                            .total = seconds(60)};
  ClientStage stage;
  Told told;
  const auto ends_with = [&](std::string_view text) {
    stage.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.error->kind == Error::Kind::timeout);
    CHECK(told.error->text.find(text) != std::string_view::npos);
    CHECK(stage.pool->open_connections() == 0);
  };
  SECTION("connect") {
    const FullListener full;
    stage.target.address = full.address;
    stage.fetch(told, ClientStage::head(), false, deadlines);
    stage.advance(milliseconds(1'900));
    CHECK_FALSE(told.error);
    stage.advance(milliseconds(200));
    ends_with("connect");
    CHECK(told.error->retry == Error::Retry::yes);
  }
  SECTION("first byte") {
    stage.fetch(told, ClientStage::head(), false, deadlines);
    stage.asked();
    stage.advance(milliseconds(14'900));
    CHECK_FALSE(told.error);
    stage.advance(milliseconds(200));
    ends_with("first byte");
    CHECK(told.error->retry == Error::Retry::no);
    stage.until([&] { return stage.served[0]->gone(); });
  }
  SECTION("an interim response counts as a sign of life") {
    stage.fetch(told, ClientStage::head(), false, deadlines);
    stage.asked();
    stage.advance(seconds(10));
    stage.served[0]->say("HTTP/1.1 103 Early Hints\r\n\r\n");
    stage.until([&] { return !told.interims.empty(); });
    stage.advance(seconds(10));
    CHECK_FALSE(told.error);
    stage.advance(seconds(6));
    ends_with("first byte");
  }
  SECTION("between bytes, and not while paused") {
    stage.fetch(told, ClientStage::head(), false, deadlines);
    stage.asked().say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab");
    stage.until([&] { return told.body == "ab"; });
    stage.advance(seconds(9));
    stage.served[0]->say("c");
    stage.until([&] { return told.body == "abc"; });
    stage.advance(seconds(9));
    CHECK_FALSE(told.error);
    told.stream->pause();
    stage.advance(seconds(20));
    CHECK_FALSE(told.error);
    told.stream->resume();
    stage.advance(seconds(9));
    CHECK_FALSE(told.error);
    stage.advance(seconds(2));
    ends_with("between bytes");
  }
  SECTION("total, however lively") {
    stage.fetch(told, ClientStage::head(), false, deadlines);
    stage.asked().say("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n");
    for (size_t i = 1; i < 12; ++i) {
      stage.advance(seconds(5));
      stage.served[0]->say("x");
      stage.until([&] { return told.body.size() == i; });
    }
    stage.advance(seconds(6));
    ends_with("total");
  }
  SECTION("a slow sender of a body is not the server's fault") {
    stage.fetch(told, ClientStage::head("POST"), true, deadlines);
    stage.until([&] { return told.writable > 0; });
    stage.advance(seconds(20));
    stage.advance(seconds(20));
    CHECK_FALSE(told.error);
    told.stream->finish();
    stage.settle();
    stage.advance(seconds(14));
    CHECK_FALSE(told.error);
    stage.advance(seconds(2));
    ends_with("first byte");
  }
}

TEST_CASE("client pool: a request that waits too long for a connection is told busy") {
  ClientLimits limits;
  limits.max_connections = 1;
  ClientStage stage(limits);
  Told a;
  Told b;
  stage.fetch(a, ClientStage::head(), false, {.first_byte = seconds(100)});
  stage.asked();
  stage.fetch(b, ClientStage::head(), false, {.first_byte = seconds(5)});
  stage.advance(seconds(6));
  REQUIRE(b.error);
  CHECK(b.error->kind == Error::Kind::busy);
  CHECK(b.error->retry == Error::Retry::yes);
  CHECK_FALSE(a.over());
}

TEST_CASE("client pool: dropping the handle in any callback cancels, and nothing more is told") {
  for (const std::string at : {"informational", "head", "body", "end", "error", "writable"}) {
    INFO(at);
    ClientStage stage;
    Told told;
    told.when = [&](const std::string& event) {
      if (event == at) told.stream.reset();
    };
    const bool upload = at == "writable";
    stage.fetch(told, ClientStage::head(upload ? "POST" : "GET"), upload);
    Served& server = stage.asked();
    if (!upload) {
      server.say(
          "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell");
      if (at == "error") {
        server.end();
      } else {
        stage.settle();
        server.say("o");
      }
    }
    stage.until([&] { return !told.events.empty() && told.events.back() == at; });
    const size_t events = told.events.size();
    stage.settle(20);
    CHECK(told.events.size() == events);
    CHECK(stage.pool->open_connections() == (at == "end" ? 1 : 0));
    if (at != "end") stage.until([&] { return server.gone(); });
  }
}

TEST_CASE("client pool: dropping a handle that waits or dials leaves the others alone") {
  ClientLimits limits;
  limits.max_connections = 1;
  ClientStage stage(limits);
  Told a;
  Told b;
  Told c;
  stage.fetch(a);
  stage.fetch(b);
  a.stream.reset();  // its dial goes on, for b
  stage.asked();
  stage.fetch(c, ClientStage::head("GET", "/c"));
  Told d;
  stage.fetch(d, ClientStage::head("GET", "/d"));
  c.stream.reset();
  stage.served[0]->say(kOk);
  stage.until([&] { return b.over(); });
  stage.asked(0, 2).say(kOk);
  stage.until([&] { return d.over(); });
  CHECK(d.body == "ok");
  CHECK(a.events.empty());
  CHECK(c.events.empty());
  CHECK(stage.served[0]->got.find("/c") == std::string::npos);
}

TEST_CASE("client pool: a handler may ask again inside its last call") {
  ClientStage stage;
  Told next;
  Told told;
  told.when = [&](const std::string& event) {
    if (event == "end") stage.fetch(next);
  };
  stage.fetch(told);
  stage.asked().say(kOk);
  stage.asked(0, 2).say(kOk);  // on the same connection
  stage.until([&] { return next.over(); });
  CHECK(next.body == "ok");

  Told again;
  Told failing;
  failing.when = [&](const std::string& event) {
    if (event == "error") stage.fetch(again);
  };
  stage.fetch(failing);
  stage.asked(0, 3).end();
  stage.asked(1).say(kOk);
  stage.until([&] { return again.over(); });
  CHECK(again.body == "ok");
  CHECK(stage.pool->idle_connections() == 1);
}

TEST_CASE("client pool: it may go before its handles, which then are silent") {
  ClientLimits limits;
  limits.max_connections = 1;
  ClientStage stage(limits);
  Told carried;
  Told waiting;
  stage.fetch(carried, ClientStage::head("POST"), true);
  stage.fetch(waiting);
  stage.until([&] { return carried.writable > 0; });
  const size_t events = carried.events.size();
  stage.pool.reset();
  carried.stream->send_body(Slice::copy_of("x"));
  carried.stream->finish();
  carried.stream->pause();
  CHECK_FALSE(carried.stream->wants_more());
  stage.advance(seconds(100));
  CHECK(carried.events.size() == events);
  CHECK(waiting.events.empty());
}

TEST_CASE("client pool: connections are not shared between targets") {
  ClientStage stage;
  Told a;
  stage.fetch(a);
  stage.asked().say(kOk);
  stage.until([&] { return a.over(); });
  stage.target.server_name = "other.example";
  Told b;
  stage.fetch(b);
  stage.asked(1).say(kOk);
  stage.until([&] { return b.over(); });
  CHECK(stage.served.size() == 2);
  CHECK(stage.pool->idle_connections() == 2);
}
