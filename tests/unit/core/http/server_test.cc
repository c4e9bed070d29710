#include "core/http/server.h"

#include <catch2/catch.hpp>

#include "tests/unit/core/http/server_rig.h"

using namespace bw;
using namespace bw::http;

namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

ServerOptions proxied(std::string_view trusted) {
  ServerOptions options;
  options.proxy_protocol = true;
  options.proxy_trusted = {*net::Network::parse(trusted)};
  return options;
}

}  // namespace

TEST_CASE("server: connections beyond a limit are closed and counted") {
  ServerOptions options;
  SECTION("all") { options.limits.max_connections = 2; }
  SECTION("of one client") { options.limits.max_connections_per_client = 2; }
  ServerRig rig(std::move(options));
  rig.service.when_end = [](Seen& seen) { answer(*seen.stream, "hi"); };
  net::End& first = rig.connect(kGet);
  net::End& second = rig.connect(kGet);
  rig.until([&] { return !first.got.empty() && !second.got.empty(); });
  net::End& third = rig.connect(kGet);
  rig.until([&] { return over(third); });
  CHECK(third.got.empty());
  CHECK(rig.server->counters().refused == 1);
  first.connection->close();
  rig.until([&] { return rig.server->counters().connections == 1; });
  net::End& fourth = rig.connect(kGet);
  rig.until([&] { return !fourth.got.empty(); });
}

TEST_CASE("server: the PROXY header names the client, in any pieces") {
  ServerRig rig(proxied("127.0.0.0/8"));
  net::Address peer, local;
  rig.service.when_request = [&](ServerStream& s, Seen&) {
    peer = s.peer().peer;
    local = s.peer().local;
    answer(s, "hi");
  };
  const std::string v1 = "PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n";
  const std::string v2 = std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16) +
                         std::string("\xc0\0\x02\x07\xc6\x33\x64\x01\x13\x88\x01\xbb", 12);
  for (const std::string& header : {v1, v2}) {
    for (size_t cut = 0; cut <= header.size(); ++cut) {
      INFO(cut);
      peer = local = net::Address();
      net::End& client = rig.connect(header.substr(0, cut));
      rig.settle(6);
      client.connection->write_copy(header.substr(cut) + kGet);
      rig.until([&] { return client.got.ends_with("hi"); });
      CHECK(peer.text() == "192.0.2.7:5000");
      CHECK(local.text() == "198.51.100.1:443");
      rig.clients.clear();
      rig.settle(4);
    }
  }
}

TEST_CASE("server: without a PROXY header, from a stranger or too late: closed") {
  SECTION("no header") {
    ServerRig rig(proxied("127.0.0.0/8"));
    net::End& client = rig.connect(kGet);
    rig.until([&] { return over(client); });
    CHECK(rig.server->counters().malformed == 1);
  }
  SECTION("stranger") {
    ServerRig rig(proxied("192.0.2.0/24"));
    net::End& client = rig.connect("PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n" + kGet);
    rig.until([&] { return over(client); });
    CHECK(rig.server->counters().refused == 1);
    CHECK(rig.service.seen.empty());
  }
  SECTION("late") {
    ServerRig rig(proxied("127.0.0.0/8"));
    net::End& client = rig.connect("PROXY TCP4 ");
    rig.settle();
    rig.clock.advance(std::chrono::milliseconds(1100));
    rig.until([&] { return over(client); });
    CHECK(rig.server->empty());
  }
}

TEST_CASE("server: new options count for new connections") {
  ServerRig rig;
  rig.service.when_end = [](Seen& seen) { answer(*seen.stream, "hi"); };
  net::End& old = rig.connect(kGet);
  rig.until([&] { return !old.got.empty(); });
  rig.server->set_options(ServerOptions{.limits = {.max_uri = 2}});
  const std::string request = "GET /" + std::string(300, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  net::End& young = rig.connect(request);
  rig.until([&] { return over(young); });
  CHECK(young.got.starts_with("HTTP/1.1 414 "));
  old.got.clear();
  old.connection->write_copy(request);
  rig.until([&] { return old.got.ends_with("hi"); });
}
