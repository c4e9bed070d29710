#include "core/http/endpoint.h"

#include <catch2/catch.hpp>

#include "tests/unit/core/http/server_rig.h"

using namespace bw;
using namespace bw::http;

namespace {

struct EndpointRig : Service {
  std::optional<EndpointRequest> request;
  std::optional<Reply> reply;
  std::function<void()> when_request;
  EndpointService endpoint{[this](EndpointRequest r, Reply p) {
                             request = std::move(r);
                             reply.emplace(std::move(p));
                             if (when_request) when_request();
                           },
                           16};
  ServerRig rig;
  Server server{rig.loop, endpoint, {}};

  EndpointRig() {
    // The rig's listener feeds this server instead of its own.
    rig.listener = nullptr;
    std::string why;
    Result<net::ListenSocket> socket =
        net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
    rig.address = socket->address;
    rig.listener = std::make_unique<net::Listener>(
        rig.loop, socket->fd,
        [this](int fd, const net::Address& peer) { server.accept(fd, peer); });
  }
  std::unique_ptr<StreamHandler> on_request(ServerStream& s) override {
    return endpoint.on_request(s);
  }
};

}  // namespace

TEST_CASE("endpoint: a whole request, a whole response, also later") {
  EndpointRig t;
  net::End& client =
      t.rig.connect("POST /p?a=1&b=x%20y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  t.rig.until([&] { return t.reply.has_value(); });
  CHECK(t.request->body == "abc");
  CHECK(t.request->head.path() == "/p");
  CHECK(t.request->query("b") == "x y");
  CHECK(t.request->query("c") == std::nullopt);
  t.rig.settle();
  t.reply->send(EndpointResponse::json(201, "{}"));
  t.rig.until([&] { return client.got.ends_with("{}"); });
  CHECK(client.got.starts_with("HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n"));
}

TEST_CASE("endpoint: a body beyond its bound is 413") {
  EndpointRig t;
  const std::string request = GENERATE(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n\r\n0123456789abcdefg",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n"
      "0\r\n\r\n");
  net::End& client = t.rig.connect(request);
  t.rig.until([&] { return client.got.ends_with("}"); });
  CHECK(client.got.starts_with("HTTP/1.1 413 "));
  CHECK(client.got.find("problems/too-large") != std::string::npos);
  CHECK_FALSE(t.reply);
}

TEST_CASE("endpoint: a dropped reply is a 500; one for a client that has gone is nothing") {
  EndpointRig t;
  net::End& client = t.rig.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  t.rig.until([&] { return t.reply.has_value(); });
  t.reply.reset();
  t.rig.until([&] { return client.got.ends_with("}"); });
  CHECK(client.got.starts_with("HTTP/1.1 500 "));
  client.connection->write_copy("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  t.rig.until([&] { return t.reply.has_value(); });
  bool gone = false;
  t.reply->on_gone([&] { gone = true; });
  client.connection->close(true);
  t.rig.until([&] { return gone; });
  CHECK(t.reply->client_gone());
  t.reply->send(EndpointResponse::json(200, "{}"));
  t.reply.reset();
}

TEST_CASE("endpoint: a stream of lines, whose unread part is told") {
  EndpointRig t;
  net::End& client = t.rig.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  t.rig.until([&] { return t.reply.has_value(); });
  t.reply->start_stream(200, {});
  CHECK(t.reply->write("one\n"));
  CHECK(t.reply->buffered() > 0);
  t.rig.until([&] { return client.got.ends_with("4\r\none\n\r\n"); });
  CHECK(t.reply->buffered() == 0);
  client.connection->pause_reading();
  const std::string line(64 * 1024, 'x');
  for (int i = 0; i < 200; ++i) CHECK(t.reply->write(line));
  t.rig.settle();
  CHECK(t.reply->buffered() > 1 << 20);
  client.connection->resume_reading();
  t.rig.until([&] { return t.reply->buffered() == 0; });
  t.reply->finish();
  t.rig.until([&] { return client.got.ends_with("\r\n0\r\n\r\n"); });
}

TEST_CASE("endpoint: problems are JSON whatever their detail holds") {
  const EndpointResponse r = EndpointResponse::problem(404, "not-found", "a \"b\"\n\\");
  CHECK(r.body ==
        "{\"type\":\"https://breakwater.invalid/problems/not-found\",\"title\":\"Not Found\","
        "\"status\":404,\"detail\":\"a \\\"b\\\"\\u000a\\\\\"}");
}

TEST_CASE("endpoint: percent escapes") {
  CHECK(percent_decode("a%2Fb%00") == std::string("a/b\0", 4));
  CHECK(percent_decode("%4") == std::nullopt);
  CHECK(percent_decode("%zz") == std::nullopt);
  CHECK(percent_decode("") == "");
}

TEST_CASE("endpoint: the bearer's token, whatever the scheme's case") {
  struct Row {
    const char* field;
    std::optional<std::string> token;
  };
  const Row row = GENERATE(values<Row>({{"Bearer s3cret", "s3cret"},
                                        {"bearer  s3cret", "s3cret"},
                                        {"BEARER s3cret ", "s3cret"},
                                        {"", std::nullopt},
                                        {"Bearer", std::nullopt},
                                        {"Bearer ", std::nullopt},
                                        {"Bearers3cret", std::nullopt},
                                        {"Basic s3cret", std::nullopt},
                                        {"s3cret", std::nullopt}}));
  CAPTURE(row.field);
  EndpointRequest request;
  request.head.fields.add("Authorization", row.field);
  CHECK(request.bearer() == row.token);
  // Two of them are no token of anybody.
  request.head.fields.add("Authorization", row.field);
  CHECK(request.bearer() != "s3cret");
}
