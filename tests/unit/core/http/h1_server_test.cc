#include "core/http/h1_server.h"

#include <catch2/catch.hpp>

#include "tests/unit/core/http/server_rig.h"

using namespace bw;
using namespace bw::http;

namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 2\r\n\r\nhi";
const std::string kOkClose =
    "HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";

void answer_at_end(ServerRig& rig) {
  rig.service.when_end = [](Seen& seen) { answer(*seen.stream, "hi"); };
}

}  // namespace

TEST_CASE("h1 server: a request is answered and the connection kept") {
  ServerRig rig;
  answer_at_end(rig);
  net::End& client = rig.connect(kGet);
  rig.until([&] { return client.got == kOk; });
  client.connection->write_copy(kGet);
  rig.until([&] { return client.got == kOk + kOk; });
  rig.settle();
  REQUIRE(rig.service.seen.size() == 2);
  const Seen& seen = *rig.service.seen[0];
  CHECK(seen.head.target == "/a");
  CHECK(seen.head.authority == "h");
  CHECK(seen.head.scheme == "http");
  CHECK(seen.ends == 1);
  CHECK(seen.sent == 1);
  CHECK(seen.destroyed);
  CHECK_FALSE(client.ended);
  CHECK(rig.server->counters().requests_http1 == 2);
  CHECK(rig.server->counters().connections == 1);
}

TEST_CASE("h1 server: requests cut at every byte are the same requests") {
  const std::string all =
      "POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
      "POST /two HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n" +
      kGet;
  ServerRig rig;
  answer_at_end(rig);
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    INFO(cut);
    rig.service.seen.clear();
    net::End& client = rig.connect(all.substr(0, cut));
    rig.settle(8);
    client.connection->write_copy(std::string_view(all).substr(cut));
    rig.until([&] { return client.got == kOk + kOk + kOk; });
    rig.settle(4);
    REQUIRE(rig.service.seen.size() == 3);
    CHECK(rig.service.seen[0]->body == "hello");
    CHECK(rig.service.seen[1]->body == "abcdefg");
    CHECK(rig.service.seen[1]->trailers == std::vector<std::string>{"x-sum=7"});
    CHECK(rig.service.seen[2]->head.target == "/a");
    for (const auto& seen : rig.service.seen) CHECK((seen->ends == 1 && seen->sent == 1));
    client.connection->close();
    rig.clients.clear();
    rig.settle(4);
  }
  CHECK(rig.server->empty());
}

TEST_CASE("h1 server: pipelined requests are answered in order, one at a time, later ones too") {
  ServerRig rig;
  std::string requests, answers;
  for (int i = 0; i < 100; ++i) requests += kGet, answers += kOk;
  SECTION("at once") {
    rig.service.when_request = [](ServerStream& s, Seen&) { answer(s, "hi"); };
  }
  SECTION("in a later turn") {
    rig.service.when_end = [&](Seen& seen) {
      rig.loop.post([&seen] { answer(*seen.stream, "hi"); });
    };
  }
  net::End& client = rig.connect(requests);
  rig.until([&] { return client.got.size() >= answers.size(); });
  CHECK(client.got == answers);
  rig.settle();
  for (const auto& seen : rig.service.seen) CHECK((seen->ends == 1 && seen->sent == 1));
}

TEST_CASE("h1 server: what ends a connection ends a pipeline") {
  ServerRig rig;
  answer_at_end(rig);
  net::End& client = rig.connect("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + kGet);
  rig.until([&] { return client.ended; });
  CHECK(client.got == kOkClose);
  CHECK(rig.service.seen.size() == 1);
}

TEST_CASE("h1 server: HTTP/1.0 closes unless asked, and says so") {
  ServerRig rig;
  answer_at_end(rig);
  net::End& plain = rig.connect("GET / HTTP/1.0\r\n\r\n");
  rig.until([&] { return plain.ended; });
  CHECK(plain.got == kOkClose);
  net::End& kept = rig.connect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  rig.until([&] { return kept.got.ends_with("hi"); });
  CHECK(kept.got.find("connection: keep-alive\r\n") != std::string::npos);
  CHECK_FALSE(kept.ended);
}

TEST_CASE("h1 server: without a length 1.1 gets chunks, 1.0 the close") {
  ServerRig rig;
  rig.service.when_end = [](Seen& seen) {
    seen.stream->send_head(head_of(200));
    seen.stream->send_body(Slice::of_static("abc"));
    seen.stream->send_body(Slice::of_static("0123456789abcdef"));
    FieldList trailers;
    trailers.add("x-sum", "1");
    seen.stream->finish(&trailers);
  };
  net::End& client = rig.connect(kGet);
  rig.until([&] { return client.got.ends_with("\r\n\r\n") && client.got.size() > 60; });
  CHECK(client.got ==
        "HTTP/1.1 200 OK\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nx-sum: 1\r\n\r\n");
  net::End& old = rig.connect("GET / HTTP/1.0\r\n\r\n");
  rig.until([&] { return old.ended; });
  CHECK(old.got == "HTTP/1.1 200 OK\r\ndate: D\r\nconnection: close\r\n\r\nabc0123456789abcdef");
}

TEST_CASE("h1 server: HEAD, 204 and 304 have no body whatever the handler gives") {
  ServerRig rig;
  int status = 200;
  rig.service.when_end = [&](Seen& seen) { answer(*seen.stream, "hi", status); };
  net::End& client = rig.connect("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  rig.until([&] { return !client.got.empty(); });
  CHECK(client.got == "HTTP/1.1 200 OK\r\ndate: D\r\ncontent-length: 2\r\n\r\n");
  client.got.clear();
  status = 204;
  client.connection->write_copy(kGet);
  rig.until([&] { return !client.got.empty(); });
  CHECK(client.got == "HTTP/1.1 204 No Content\r\ndate: D\r\n\r\n");
  client.got.clear();
  status = 304;
  client.connection->write_copy(kGet);
  rig.until([&] { return !client.got.empty(); });
  CHECK(client.got == "HTTP/1.1 304 Not Modified\r\ndate: D\r\ncontent-length: 2\r\n\r\n");
}

TEST_CASE("h1 server: malformed requests are refused with their status, then the close") {
  struct Row {
    std::string request;
    std::string start;
  };
  ServerRig rig(
      ServerOptions{.limits = {.max_header_size = 1024, .max_uri = 100, .max_body_size = 10}});
  answer_at_end(rig);
  const std::vector<Row> rows = {
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 "},
      {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "},
      {"GET /" + std::string(200, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 414 "},
      {"GET / HTTP/1.1\r\nHost: a\r\nx: " + std::string(1024, 'x') + "\r\n\r\n", "HTTP/1.1 431 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 501 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 413 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n",
       "HTTP/1.1 413 "},
      {"\x16\x03\x01\x02", "HTTP/1.1 400 "},
  };
  for (const Row& row : rows) {
    INFO(row.request);
    net::End& client = rig.connect(row.request + kGet);
    rig.until([&] { return over(client); });
    CHECK(client.got.starts_with(row.start));
    CHECK(client.got.find("connection: close\r\n") != std::string::npos);
    CHECK(client.got.find("HTTP/1.1", 8) == std::string::npos);
  }
  for (const auto& seen : rig.service.seen) {
    CHECK(seen->ends == 0);
    REQUIRE(seen->aborted);
    CHECK(seen->aborted->side == Error::Side::client);
  }
}

TEST_CASE("h1 server: 100 is sent when the expected body is wanted, not before") {
  const std::string request =
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
  const std::string go = "HTTP/1.1 100 Continue\r\n\r\n";
  ServerRig rig;
  answer_at_end(rig);
  SECTION("at once") {
    net::End& client = rig.connect(request);
    rig.until([&] { return client.got == go; });
    client.connection->write_copy("ab");
    rig.until([&] { return client.got == go + kOk; });
    CHECK(rig.service.seen[0]->body == "ab");
  }
  SECTION("when the handler resumes") {
    rig.service.when_request = [](ServerStream& s, Seen&) { s.pause_body(); };
    net::End& client = rig.connect(request);
    rig.settle();
    CHECK(client.got.empty());
    rig.service.seen[0]->stream->resume_body();
    rig.until([&] { return client.got == go; });
    client.connection->write_copy("ab");
    rig.until([&] { return client.got == go + kOk; });
  }
  SECTION("never after a refusal, which ends the connection") {
    rig.service.when_request = [](ServerStream& s, Seen&) { answer(s, "hi", 403); };
    net::End& client = rig.connect(request);
    rig.until([&] { return client.ended; });
    CHECK(client.got.starts_with("HTTP/1.1 403 "));
    CHECK(client.got.find("connection: close") != std::string::npos);
    CHECK(rig.service.seen[0]->sent == 1);
  }
}

TEST_CASE("h1 server: 1xx go before the head, and never to HTTP/1.0") {
  ServerRig rig;
  rig.service.when_end = [](Seen& seen) {
    FieldList fields;
    fields.add("link", "</x>");
    seen.stream->send_informational(103, fields);
    answer(*seen.stream, "hi");
  };
  net::End& client = rig.connect(kGet);
  rig.until([&] { return client.got.ends_with("hi"); });
  CHECK(client.got == "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + kOk);
  net::End& old = rig.connect("GET / HTTP/1.0\r\n\r\n");
  rig.until([&] { return old.ended; });
  CHECK(old.got == kOkClose);
}

TEST_CASE("h1 server: a half close still gets its answer, then the close") {
  ServerRig rig;
  net::End& client = rig.connect(kGet + kGet);
  client.connection->finish_writing();
  rig.until([&] { return rig.service.seen.size() == 1; });
  rig.settle();
  answer(*rig.service.seen[0]->stream, "hi");
  rig.until([&] { return rig.service.seen.size() == 2; });
  rig.settle();
  answer(*rig.service.seen[1]->stream, "hi");
  rig.until([&] { return client.ended; });
  CHECK(client.got == kOk + kOkClose);
  rig.settle();
  CHECK(rig.service.seen[1]->sent == 1);
  CHECK(rig.server->empty());
}

TEST_CASE("h1 server: a request that breaks off is aborted") {
  ServerRig rig;
  net::End& client = rig.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
  rig.until([&] { return rig.service.seen.size() == 1; });
  client.connection->finish_writing();
  rig.until([&] { return rig.service.seen[0]->aborted.has_value(); });
  CHECK(rig.service.seen[0]->aborted->kind == Error::Kind::closed);
  rig.until([&] { return rig.server->empty(); });
  rig.settle();
  CHECK(rig.service.seen[0]->destroyed);
  CHECK(client.got.empty());
}

TEST_CASE("h1 server: a client that goes is told while its answer is made") {
  ServerRig rig;
  net::End& client = rig.connect(kGet);
  rig.until([&] { return rig.service.seen.size() == 1; });
  client.connection->close(true);
  rig.until([&] { return rig.service.seen[0]->aborted.has_value(); });
  rig.settle();
  CHECK(rig.server->empty());
}

TEST_CASE("h1 server: a body waits while its handler does, to the end") {
  ServerRig rig;
  answer_at_end(rig);
  rig.service.when_body = [](Seen& seen, std::string_view) { seen.stream->pause_body(); };
  const std::string body = net::pattern(1 << 20, 3);
  net::End& client = rig.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
  client.connection->write_copy(body);
  rig.until([&] { return rig.service.seen.size() == 1 && !rig.service.seen[0]->body.empty(); });
  Seen& seen = *rig.service.seen[0];
  rig.settle();
  const size_t first = seen.body.size();
  rig.settle();
  CHECK(seen.body.size() == first);
  while (seen.ends == 0) {
    const size_t before = seen.body.size();
    seen.stream->resume_body();
    rig.until([&] { return seen.body.size() > before || seen.ends == 1; });
  }
  CHECK(seen.body == body);
  rig.until([&] { return client.got == kOk; });
  client.connection->write_copy(kGet);
  rig.until([&] { return client.got == kOk + kOk; });
}

TEST_CASE("h1 server: an early answer reads a small rest and keeps the connection") {
  ServerRig rig;
  rig.service.when_request = [](ServerStream& s, Seen&) { answer(s, "hi"); };
  net::End& client = rig.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n");
  rig.until([&] { return client.got == kOk; });
  CHECK(rig.service.seen[0]->sent == 0);
  client.connection->write_copy(std::string(60000, 'x'));
  client.connection->write_copy(kGet);
  rig.until([&] { return client.got == kOk + kOk; });
  rig.settle();
  CHECK(rig.service.seen[0]->body.empty());
  CHECK(rig.service.seen[0]->ends == 1);
  CHECK(rig.service.seen[0]->sent == 1);
}

TEST_CASE("h1 server: an early answer before a large rest is the last") {
  ServerRig rig;
  rig.service.when_request = [](ServerStream& s, Seen&) { answer(s, "hi"); };
  std::string request = GENERATE(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n" + std::string(9000000, 'x'),
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n895440\r\n" +
          std::string(9000000, 'x'));
  net::End& client = rig.connect(request);
  rig.until([&] { return over(client); });
  CHECK(client.got == kOk);
  CHECK_FALSE(client.error);
  rig.settle();
  CHECK(rig.service.seen.size() == 1);
  CHECK(rig.service.seen[0]->ends == 0);
  CHECK(rig.service.seen[0]->sent == 1);
}

TEST_CASE("h1 server: a slow reader stops its producer, and gets all in the end") {
  ServerRig rig;
  const std::string piece = net::pattern(32 * 1024, 5);
  constexpr size_t kPieces = 512;
  size_t given = 0;
  size_t most = 0;
  const auto produce = [&](Seen& seen) {
    while (given < kPieces && seen.stream->wants_more()) {
      seen.stream->send_body(Slice::copy_of(piece));
      ++given;
      most = std::max(most, seen.stream->buffered());
    }
    if (given == kPieces) ++given, seen.stream->finish();
  };
  rig.service.when_end = [&](Seen& seen) {
    seen.stream->send_head(head_of(200, kPieces * piece.size()));
    produce(seen);
  };
  rig.service.when_writable = produce;
  net::End& client = rig.connect(kGet);
  client.connection->pause_reading();
  rig.until([&] { return given > 0; });
  rig.settle(500);
  CHECK(given < kPieces);
  CHECK(most <= net::Connection::kHighWater + 2 * piece.size());
  CHECK(rig.service.seen[0]->stream->bytes_sent() + rig.service.seen[0]->stream->buffered() >
        given * piece.size());
  client.connection->resume_reading();
  rig.until([&] { return client.got.size() > kPieces * piece.size(); });
  rig.settle();
  CHECK(rig.service.seen[0]->sent == 1);
  CHECK(rig.service.seen[0]->writable > 0);
}

TEST_CASE("h1 server: an abort can't be taken for an end") {
  struct Row {
    std::string name;
    std::function<void(ServerStream&)> give;
    bool reset;
  };
  const std::vector<Row> rows = {
      {"no head", [](ServerStream&) {}, false},
      {"short of its length",
       [](ServerStream& s) {
         s.send_head(head_of(200, 10));
         s.send_body(Slice::of_static("abc"));
       },
       false},
      {"all of its length",
       [](ServerStream& s) {
         s.send_head(head_of(200, 3));
         s.send_body(Slice::of_static("abc"));
       },
       true},
      {"no final chunk",
       [](ServerStream& s) {
         s.send_head(head_of(200));
         s.send_body(Slice::of_static("abc"));
       },
       false},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    ServerRig rig;
    rig.service.when_end = [&](Seen& seen) { row.give(*seen.stream); };
    net::End& client = rig.connect(kGet);
    rig.until([&] { return rig.service.seen.size() == 1; });
    rig.settle();
    rig.service.seen[0]->stream->abort(Error{.text = "test"});
    rig.until([&] { return over(client); });
    CHECK(client.error.has_value() == row.reset);
    CHECK_FALSE(client.got.ends_with("0\r\n\r\n"));
    rig.settle();
    CHECK_FALSE(rig.service.seen[0]->aborted);
    CHECK(rig.service.seen[0]->sent == 0);
    CHECK(rig.service.seen[0]->destroyed);
  }
  ServerRig rig;
  rig.service.when_end = [&](Seen& seen) {
    seen.stream->send_head(head_of(200));
    seen.stream->send_body(Slice::of_static("abc"));
  };
  net::End& client = rig.connect("GET / HTTP/1.0\r\n\r\n");
  rig.until([&] { return client.got.ends_with("abc"); });
  rig.service.seen[0]->stream->abort(Error{.text = "test"});
  rig.until([&] { return over(client); });
  CHECK(client.error);
}

TEST_CASE("h1 server: a finish short of the promise is an abort that is told later") {
  ServerRig rig;
  rig.service.when_end = [](Seen& seen) {
    seen.stream->send_head(head_of(200, 10));
    seen.stream->send_body(Slice::of_static("abc"));
    seen.stream->finish();
    CHECK_FALSE(seen.aborted);
  };
  net::End& client = rig.connect(kGet);
  rig.until([&] { return over(client); });
  CHECK(client.got.ends_with("\r\n\r\nabc"));
  CHECK(rig.service.seen[0]->aborted);
}

TEST_CASE("h1 server: more than the promise is never sent") {
  ServerRig rig;
  rig.service.when_end = [](Seen& seen) {
    seen.stream->send_head(head_of(200, 2));
    seen.stream->send_body(Slice::of_static("hi there"));
    seen.stream->finish();
  };
  net::End& client = rig.connect(kGet + kGet);
  rig.until([&] { return client.got.size() >= 2 * kOk.size(); });
  CHECK(client.got == kOk + kOk);
}

TEST_CASE("h1 server: deadlines end what waits too long") {
  ServerRig rig(ServerOptions{.limits = {.header_timeout = std::chrono::seconds(10),
                                         .body_timeout = std::chrono::seconds(30),
                                         .send_timeout = std::chrono::seconds(30),
                                         .idle_timeout = std::chrono::seconds(60)}});
  const auto pass = [&](int seconds) {
    rig.clock.advance(std::chrono::seconds(seconds));
    rig.settle();
  };
  SECTION("a head: 408") {
    net::End& client = rig.connect("GET / HT");
    rig.settle();
    pass(9);
    CHECK_FALSE(over(client));
    client.connection->write_copy("TP/1.1\r\n");  // progress doesn't help
    rig.settle();
    pass(2);
    CHECK(client.got.starts_with("HTTP/1.1 408 "));
    CHECK(client.ended);
  }
  SECTION("a body: 408, counted from its last byte") {
    net::End& client = rig.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    rig.settle();
    pass(29);
    client.connection->write_copy("d");
    rig.settle();
    pass(29);
    CHECK_FALSE(over(client));
    pass(2);
    CHECK(client.got.starts_with("HTTP/1.1 408 "));
    CHECK(rig.service.seen[0]->aborted->kind == Error::Kind::timeout);
  }
  SECTION("a body that its handler doesn't read has none") {
    rig.service.when_request = [](ServerStream& s, Seen&) { s.pause_body(); };
    net::End& client = rig.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    rig.settle();
    pass(1000);
    CHECK_FALSE(over(client));
    rig.service.seen[0]->stream->resume_body();
    rig.settle();
    CHECK(rig.service.seen[0]->body == "abc");
    pass(31);
    CHECK(client.got.starts_with("HTTP/1.1 408 "));
  }
  SECTION("nor has an answer that is being made") {
    net::End& client = rig.connect(kGet);
    rig.settle();
    pass(1000);
    CHECK_FALSE(over(client));
  }
  SECTION("idle: a silent close") {
    answer_at_end(rig);
    net::End& client = rig.connect(kGet);
    rig.settle();
    pass(50);
    client.connection->write_copy(kGet);
    rig.settle();
    pass(59);
    CHECK_FALSE(over(client));
    pass(2);
    CHECK(client.ended);
    CHECK(client.got == kOk + kOk);
  }
  SECTION("nothing at all: a silent close") {
    net::End& client = rig.connect();
    rig.settle();
    pass(11);
    CHECK(client.ended);
    CHECK(client.got.empty());
  }
  SECTION("a reader that takes nothing: reset") {
    rig.service.when_end = [](Seen& seen) { answer(*seen.stream, std::string(64 << 20, 'x')); };
    net::End& client = rig.connect(kGet);
    client.connection->pause_reading();
    rig.settle(500);
    REQUIRE(rig.service.seen.size() == 1);
    pass(29);
    CHECK_FALSE(rig.service.seen[0]->aborted);
    pass(2);
    REQUIRE(rig.service.seen[0]->aborted);
    CHECK(rig.service.seen[0]->aborted->kind == Error::Kind::timeout);
    rig.until([&] { return over(client); });
  }
  rig.clients.clear();
  pass(1);
}

TEST_CASE("h1 server: draining finishes what is under way and closes the rest") {
  ServerRig rig;
  net::End& idle = rig.connect(kGet);
  rig.until([&] { return rig.service.seen.size() == 1; });
  answer(*rig.service.seen[0]->stream, "hi");
  net::End& busy = rig.connect(kGet);
  rig.until([&] { return rig.service.seen.size() == 2; });
  net::End& begun = rig.connect("GET /a HTTP/1.1\r\n");
  rig.settle();
  rig.server->drain();
  rig.until([&] { return idle.ended; });
  CHECK(idle.got == kOk);
  CHECK_FALSE(busy.ended);
  CHECK_FALSE(begun.ended);
  answer(*rig.service.seen[1]->stream, "hi");
  rig.until([&] { return busy.ended; });
  CHECK(busy.got == kOkClose);
  answer_at_end(rig);
  begun.connection->write_copy("Host: h\r\n\r\n");
  rig.until([&] { return begun.ended; });
  CHECK(begun.got == kOkClose);
  idle.connection->close(), busy.connection->close(), begun.connection->close();
  rig.until([&] { return rig.server->empty(); });
}

TEST_CASE("h1 server: closing all tells every handler") {
  ServerRig rig;
  rig.connect(kGet);
  rig.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
  rig.until([&] { return rig.service.seen.size() == 2; });
  rig.server->close_all();
  CHECK(rig.server->empty());
  for (const auto& seen : rig.service.seen) CHECK(seen->aborted);
  rig.settle();
  for (const auto& seen : rig.service.seen) CHECK(seen->destroyed);
}

TEST_CASE("h1 server: a handler may end the connection after its answer") {
  ServerRig rig;
  rig.service.when_end = [](Seen& seen) {
    seen.stream->close_connection_after();
    answer(*seen.stream, "hi");
  };
  net::End& client = rig.connect(kGet);
  rig.until([&] { return client.ended; });
  CHECK(client.got == kOkClose);
}
