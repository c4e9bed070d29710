// HTTP/1.1 towards servers: what a response says, however it is cut, and how one may end.
#include <catch2/catch.hpp>

#include "tests/unit/core/http/client_stage.h"

using namespace bw;
using namespace bw::http;

TEST_CASE("h1 client: a request, its response, and the connection kept for the next") {
  ClientStage stage;
  Told first;
  RequestHead head = ClientStage::head("GET", "/a?b=c");
  head.fields.add("accept", "*/*");
  stage.fetch(first, head);
  CHECK_FALSE(first.stream->wants_more());
  Served& server = stage.asked();
  CHECK(server.got == "GET /a?b=c HTTP/1.1\r\nhost: shop.example\r\naccept: */*\r\n\r\n");
  CHECK_FALSE(first.stream->reused_connection());
  server.say("HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 5\r\n\r\nhello");
  stage.until([&] { return first.over(); });
  CHECK(first.head->status == 200);
  CHECK(first.head->fields.find("x-a") == "b");
  CHECK(first.head->content_length == 5);
  CHECK(first.body == "hello");
  CHECK(first.proven);
  CHECK(stage.pool->idle_connections() == 1);

  Told second;
  stage.fetch(second);
  CHECK(second.stream->reused_connection());
  CHECK(stage.pool->idle_connections() == 0);
  stage.asked(0, 2).say(kOk);
  stage.until([&] { return second.over(); });
  CHECK(second.body == "ok");
  CHECK(stage.served.size() == 1);
}

TEST_CASE("h1 client: a response cut at any byte tells the same") {
  struct Row {
    std::string_view method;
    std::string_view bytes;
    int status;
    std::string_view body;
    bool by_close;
    bool kept;
  };
  const Row rows[] = {
      {"GET", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\nhello", 200, "hello", false,
       true},
      {"GET",
       "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4;e=1\r\nhell\r\n1\r\no\r\n0\r\nx-t: "
       "v\r\n\r\n",
       200, "hello", false, true},
      {"GET",
       "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n",
       404, "", false, true},
      {"GET", "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\ncontent-length: 99\r\n\r\n", 304, "",
       false, true},
      {"HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", 200, "", false, true},
      {"GET", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello", true, false},
      {"GET", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, "hello", false, false},
      {"GET", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nh", 200, "h", false,
       false},
  };
  for (const Row& row : rows) {
    for (size_t cut = 0; cut <= row.bytes.size(); ++cut) {
      INFO(row.bytes << " cut at " << cut);
      ClientStage stage;
      Told told;
      stage.fetch(told, ClientStage::head(std::string(row.method)));
      Served& server = stage.asked();
      server.say(row.bytes.substr(0, cut));
      stage.settle(4);
      server.say(row.bytes.substr(cut));
      if (row.by_close) server.end();
      stage.until([&] { return told.over(); });
      REQUIRE_FALSE(told.error);
      REQUIRE(told.head->status == row.status);
      REQUIRE(told.body == row.body);
      REQUIRE(told.proven == !row.by_close);
      REQUIRE(stage.pool->idle_connections() == (row.kept ? 1 : 0));
      if (row.body == "hello" && told.trailers.size() == 1) {
        REQUIRE(told.trailers.find("x-t") == "v");
      }
      if (row.status == 404) REQUIRE(told.interims == std::vector<int>{103});
    }
  }
}

TEST_CASE("h1 client: bytes after the response, or unasked, cost the connection") {
  ClientStage stage;
  Told told;
  stage.fetch(told);
  stage.asked().say(std::string(kOk) + "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
  stage.until([&] { return told.over(); });
  CHECK(told.body == "ok");
  CHECK(told.proven);
  CHECK(stage.pool->idle_connections() == 0);
  stage.until([&] { return stage.served[0]->gone(); });

  Told next;
  stage.fetch(next);
  stage.asked(1).say(kOk);
  stage.until([&] { return next.over(); });
  CHECK(next.body == "ok");
  CHECK(stage.pool->idle_connections() == 1);
  stage.served[1]->say("HTTP/1.1 408 Request Timeout\r\n\r\n");
  stage.until([&] { return stage.pool->open_connections() == 0; });
}

TEST_CASE("h1 client: what is cut short or malformed is an error that says so") {
  struct Row {
    std::string_view bytes;
    bool end;
    Error::Kind kind;
  };
  const Row rows[] = {
      {"", true, Error::Kind::closed},
      {"HTTP/1.1 200 OK\r\ncontent-le", true, Error::Kind::closed},
      {"HTTP/1.1 100 Continue\r\n\r\n", true, Error::Kind::closed},
      {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell", true, Error::Kind::closed},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhell", true, Error::Kind::closed},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhell\r\n0\r\n", true,
       Error::Kind::closed},
      {"\x15\x03\x01", false, Error::Kind::malformed},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", false, Error::Kind::malformed},
      {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", false,
       Error::Kind::malformed},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", false, Error::Kind::unsupported},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", false,
       Error::Kind::malformed},
  };
  for (const Row& row : rows) {
    INFO(row.bytes);
    ClientStage stage;
    Told told;
    stage.fetch(told);
    Served& server = stage.asked();
    server.say(row.bytes);
    if (row.end) server.end();
    stage.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.error->kind == row.kind);
    CHECK(told.error->side == Error::Side::upstream);
    CHECK(told.error->retry == Error::Retry::no);
    CHECK_FALSE(told.error->text.empty());
    CHECK(stage.pool->open_connections() == 0);
  }
}

TEST_CASE("h1 client: heads beyond the limits, and 1xx without end, are refused") {
  for (const bool interim : {false, true}) {
    ClientLimits limits;
    limits.max_header_size = 1024;
    ClientStage stage(limits);
    Told told;
    stage.fetch(told);
    std::string bytes;
    if (interim) {
      for (int i = 0; i < 40; ++i) bytes += "HTTP/1.1 103 Early Hints\r\n\r\n";
    } else {
      bytes = "HTTP/1.1 200 OK\r\nx: " + std::string(2000, 'x') + "\r\n\r\n";
    }
    stage.asked().say(bytes);
    stage.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.error->kind == Error::Kind::too_large);
  }
}

TEST_CASE("h1 client: a kept-alive connection that its server closed may be tried again") {
  ClientStage stage;
  Told first;
  stage.fetch(first);
  stage.asked().say(kOk);
  stage.until([&] { return first.over(); });
  Told second;
  stage.fetch(second);
  stage.served[0]->connection->close(true);
  stage.until([&] { return second.over(); });
  REQUIRE(second.error);
  CHECK(second.error->retry == Error::Retry::if_reused);
  CHECK(second.stream->reused_connection());

  // Closed while idle: nobody notices.
  Told third;
  stage.fetch(third);
  stage.asked(1).say(kOk);
  stage.until([&] { return third.over(); });
  stage.served[1]->end();
  stage.until([&] { return stage.pool->open_connections() == 0; });
  Told fourth;
  stage.fetch(fourth);
  stage.asked(2).say(kOk);
  stage.until([&] { return fourth.over(); });
  CHECK(fourth.body == "ok");

  // A byte of the response came: it was seen, and may not be repeated.
  Told fifth;
  stage.fetch(fifth);
  stage.asked(2, 2).say("HTTP/1.1 ");
  stage.settle();
  stage.served[2]->connection->close(true);
  stage.until([&] { return fifth.over(); });
  REQUIRE(fifth.error);
  CHECK(fifth.error->retry == Error::Retry::no);
}

TEST_CASE("h1 client: bodies leave with a length or in chunks with trailers") {
  ClientStage stage;
  Told told;
  RequestHead head = ClientStage::head("PUT", "/p");
  head.content_length = 10;
  stage.fetch(told, head, true);
  told.stream->send_body(Slice::copy_of("hello"));  // before there is a connection
  stage.until([&] { return told.writable > 0; });
  CHECK(told.stream->wants_more());
  told.stream->send_body(Slice::copy_of("world"));
  told.stream->finish();
  stage.until([&] { return stage.served[0]->got.ends_with("world"); });
  CHECK(stage.served[0]->got ==
        "PUT /p HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 10\r\n\r\nhelloworld");
  stage.served[0]->say(kOk);
  stage.until([&] { return told.over(); });
  CHECK(told.proven);

  Told chunked;
  stage.served[0]->got.clear();
  stage.fetch(chunked, ClientStage::head("POST", "/q"), true);
  CHECK(chunked.stream->reused_connection());
  chunked.stream->send_body(Slice::copy_of("0123456789abcdef"));
  FieldList trailers;
  trailers.add("x-sum", "7");
  chunked.stream->finish(&trailers);
  stage.until([&] { return stage.served[0]->got.ends_with("7\r\n\r\n"); });
  CHECK(stage.served[0]->got ==
        "POST /q HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n"
        "10\r\n0123456789abcdef\r\n0\r\nx-sum: 7\r\n\r\n");
  stage.served[0]->say(kOk);
  stage.until([&] { return chunked.over(); });
  CHECK(stage.pool->idle_connections() == 1);
}

TEST_CASE("h1 client: a body that breaks its promised length is never sent as whole") {
  for (const bool longer : {true, false}) {
    ClientStage stage;
    Told told;
    RequestHead head = ClientStage::head("PUT");
    head.content_length = 3;
    stage.fetch(told, head, true);
    stage.until([&] { return told.writable > 0; });
    told.stream->send_body(Slice::copy_of(longer ? "four" : "tw"));
    if (!longer) told.stream->finish();
    CHECK_FALSE(told.error);  // never inside the call
    stage.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.error->kind == Error::Kind::malformed);
    stage.until([&] { return stage.served[0]->gone(); });
    CHECK(stage.pool->open_connections() == 0);
  }
}

TEST_CASE("h1 client: Expect holds the body until 100, a final answer, or a second") {
  RequestHead head = ClientStage::head("PUT");
  head.content_length = 4;
  head.fields.add("expect", "100-continue");
  SECTION("100 lets it go") {
    ClientStage stage;
    Told told;
    stage.fetch(told, head, true);
    told.stream->send_body(Slice::copy_of("body"));
    told.stream->finish();
    Served& server = stage.asked();
    stage.settle();
    CHECK(server.got.ends_with("\r\n\r\n"));
    server.say("HTTP/1.1 100 Continue\r\n\r\n");
    stage.until([&] { return server.got.ends_with("body"); });
    CHECK(told.interims == std::vector<int>{100});
    server.say(kOk);
    stage.until([&] { return told.over(); });
    CHECK(stage.pool->idle_connections() == 1);
  }
  SECTION("wants_more is false until then") {
    ClientStage stage;
    Told told;
    stage.fetch(told, head, true);
    Served& server = stage.asked();
    CHECK_FALSE(told.stream->wants_more());
    CHECK(told.writable == 0);
    server.say("HTTP/1.1 100 Continue\r\n\r\n");
    stage.until([&] { return told.writable == 1; });
    CHECK(told.stream->wants_more());
  }
  SECTION("a final answer: the body is not sent, the connection not kept") {
    ClientStage stage;
    Told told;
    stage.fetch(told, head, true);
    told.stream->send_body(Slice::copy_of("body"));
    Served& server = stage.asked();
    server.say("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
    stage.until([&] { return told.over(); });
    CHECK(told.head->status == 417);
    CHECK(told.proven);
    stage.until([&] { return server.gone(); });
    CHECK(server.got.ends_with("\r\n\r\n"));
    CHECK(stage.pool->open_connections() == 0);
  }
  SECTION("silence") {
    ClientStage stage;
    Told told;
    stage.fetch(told, head, true);
    told.stream->send_body(Slice::copy_of("body"));
    told.stream->finish();
    Served& server = stage.asked();
    stage.advance(std::chrono::seconds(1));
    stage.until([&] { return server.got.ends_with("body"); });
  }
}

TEST_CASE("h1 client: a final answer to half an upload ends both") {
  ClientStage stage;
  Told told;
  stage.fetch(told, ClientStage::head("POST"), true);
  stage.until([&] { return told.writable > 0; });
  told.stream->send_body(Slice::copy_of("half"));
  stage.asked().say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig");
  stage.until([&] { return told.over(); });
  CHECK(told.head->status == 413);
  CHECK(told.body == "big");
  CHECK(told.proven);
  told.stream->send_body(Slice::copy_of("more"));  // ignored
  told.stream->finish();
  CHECK_FALSE(told.stream->wants_more());
  CHECK(stage.pool->open_connections() == 0);
}

TEST_CASE("h1 client: a paused reader holds the server back, and loses nothing") {
  ClientStage stage;
  Told told;
  told.when = [&](const std::string& event) {
    if (event == "head") told.stream->pause();
  };
  stage.fetch(told);
  const std::string body(16 << 20, 'b');
  Served& server = stage.asked();
  server.say("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n");
  server.say(body);
  stage.until([&] { return told.head.has_value(); });
  stage.settle(200);
  CHECK(told.body.empty());
  CHECK(server.connection->buffered() > (4 << 20));
  told.stream->resume();
  stage.until([&] { return told.over(); });
  CHECK(told.body == body);
  CHECK(told.proven);
}

TEST_CASE("h1 client: pausing at the last byte keeps the end back until resumed") {
  ClientStage stage;
  Told told;
  told.when = [&](const std::string& event) {
    if (event == "body") told.stream->pause();
  };
  stage.fetch(told);
  stage.asked().say(kOk);
  stage.until([&] { return !told.body.empty(); });
  stage.settle();
  CHECK_FALSE(told.ended);
  told.stream->resume();
  CHECK_FALSE(told.ended);
  stage.until([&] { return told.over(); });
  CHECK(told.proven);
  CHECK(stage.pool->idle_connections() == 1);
}

TEST_CASE("h1 client: a server that doesn't read stops the upload until it does") {
  ClientStage stage;
  Told told;
  stage.fetch(told, ClientStage::head("POST"), true);
  stage.until([&] { return told.writable > 0; });
  Served& server = stage.asked();
  server.connection->pause_reading();
  const std::string piece(64 * 1024, 'p');
  size_t sent = 0;
  for (int i = 0; i < 2000; ++i) {
    if (told.stream->wants_more()) {
      told.stream->send_body(Slice::copy_of(piece));
      ++sent;
    }
    stage.loop.turn(false);
  }
  CHECK_FALSE(told.stream->wants_more());
  CHECK(sent < 500);  // socket buffers, and our high water
  const int before = told.writable;
  server.connection->resume_reading();
  stage.until([&] { return told.writable > before; });
  CHECK(told.stream->wants_more());
  told.stream->finish();
  stage.until([&] { return server.got.ends_with("0\r\n\r\n"); });
  server.say(kOk);
  stage.until([&] { return told.over(); });
  CHECK(told.proven);
}
