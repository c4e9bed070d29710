#include <catch2/catch.hpp>

#include "tests/unit/core/http/h2_frames.h"
#include "tests/unit/core/http/server_rig.h"

using namespace bw;
using namespace bw::http;

namespace {

void answer_at_end(ServerRig& rig) {
  rig.service.when_end = [](Seen& seen) { answer(*seen.stream, "hi"); };
}

}  // namespace

TEST_CASE("h2 server: frames cut at every byte are the same requests") {
  const std::string all = h2::hello() + h2::headers(1, h2::post(), false) + h2::data(1, "hel") +
                          h2::data(1, "lo", true) + h2::headers(3, h2::get());
  ServerRig rig;
  answer_at_end(rig);
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    INFO(cut);
    rig.service.seen.clear();
    net::End& client = rig.connect(all.substr(0, cut));
    rig.settle(6);
    client.connection->write_copy(std::string_view(all).substr(cut));
    rig.until([&] { return h2::ended(client.got, 1) && h2::ended(client.got, 3); });
    rig.settle(4);
    REQUIRE(rig.service.seen.size() == 2);
    CHECK(rig.service.seen[0]->body == "hello");
    CHECK(rig.service.seen[0]->head.method == "POST");
    CHECK(rig.service.seen[1]->head.target == "/a");
    for (const auto& seen : rig.service.seen) CHECK((seen->ends == 1 && seen->sent == 1));
    CHECK(h2::body_of(client.got, 1) == "hi");
    client.connection->close();
    rig.clients.clear();
    rig.settle(4);
  }
  CHECK(rig.server->empty());
}

TEST_CASE("h2 server: heads that break the rules are refused, and the connection lives on") {
  struct Row {
    const char* what;
    h2::Fields fields;
    int status;  // 0: reset
  };
  const auto with = [](h2::Fields fields, h2::Fields more) {
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  };
  const std::vector<Row> rows = {
      {"Connection", with(h2::get(), {{"connection", "close"}}), 0},
      {"Transfer-Encoding", with(h2::get(), {{"transfer-encoding", "chunked"}}), 0},
      {"TE of another value", with(h2::get(), {{"te", "gzip"}}), 0},
      {"upper case", with(h2::get(), {{"X-A", "1"}}), 0},
      {"line feed in a value", with(h2::get(), {{"x-a", "1\n2"}}), 0},
      {"late pseudo-field", with(h2::get(), {{"x-a", "1"}, {":path", "/"}}), 0},
      {"no method", {{":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, 0},
      {"Host of another name", with(h2::get(), {{"host", "other"}}), 400},
      {"no authority", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, 0},
      {"user in the authority",
       {{":method", "GET"}, {":scheme", "http"}, {":authority", "u@h"}, {":path", "/"}},
       0},
      {"another scheme",
       {{":method", "GET"}, {":scheme", "ftp"}, {":authority", "h"}, {":path", "/"}},
       400},
      {"large field", with(h2::get(), {{"x-a", std::string(40'000, 'x')}}), 431},
      {"long target", h2::get("/" + std::string(9000, 'x')), 414},
      {"many fields", with(h2::get(), h2::Fields(130, {"a", "b"})), 431},
      {"length and no body", with(h2::get(), {{"content-length", "5"}}), 0},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    ServerRig rig;
    answer_at_end(rig);
    std::string bytes = h2::hello();
    std::string head = h2::block(row.fields);
    bytes += h2::frame(1, head.size() <= 16384 ? 5 : 1, 1, head.substr(0, 16384));
    for (size_t at = 16384; at < head.size(); at += 16384) {
      bytes += h2::frame(9, at + 16384 >= head.size() ? 4 : 0, 1, head.substr(at, 16384));
    }
    net::End& client = rig.connect(bytes + h2::headers(3, h2::get()));
    rig.until([&] { return h2::ended(client.got, 3) || over(client); });
    CHECK(rig.service.seen.size() == 1);
    CHECK(h2::body_of(client.got, 3) == "hi");
    const auto resets = h2::frames(client.got, 3, 1);
    if (row.status == 0 && !resets.empty()) {
      CHECK(resets[0].code() != 0);
      CHECK(h2::frames(client.got, 1, 1).empty());
    } else {
      CHECK(h2::ended(client.got, 1));
    }
    CHECK(rig.server->counters().malformed == 1);
  }
}

TEST_CASE("h2 server: crumbs of cookies are joined, Host stands in for :authority") {
  ServerRig rig;
  answer_at_end(rig);
  net::End& client = rig.connect(h2::hello() + h2::headers(1, {{":method", "GET"},
                                                               {":scheme", "http"},
                                                               {":path", "/"},
                                                               {"host", "Shop.Example"},
                                                               {"cookie", "a=1"},
                                                               {"cookie", "b=2"}}));
  rig.until([&] { return h2::ended(client.got, 1); });
  const RequestHead& head = rig.service.seen[0]->head;
  CHECK(head.authority == "shop.example");
  CHECK(head.fields.find("cookie") == "a=1; b=2");
  CHECK(head.fields.size() == 1);
  CHECK_FALSE(head.has_body);
}

TEST_CASE("h2 server: floods end in GOAWAY ENHANCE_YOUR_CALM") {
  std::string flood;
  SECTION("rapid reset") {
    for (uint32_t i = 0; i < 600; ++i) {
      flood += h2::headers(2 * i + 1, h2::get()) + h2::reset(2 * i + 1);
    }
  }
  SECTION("ping") {
    for (int i = 0; i < 400; ++i) flood += h2::ping();
  }
  SECTION("settings") {
    for (int i = 0; i < 100; ++i) flood += h2::settings();
  }
  SECTION("empty data") {
    flood = h2::headers(1, h2::post(), false);
    for (int i = 0; i < 2000; ++i) flood += h2::data(1, "");
  }
  SECTION("resets that the server is made to send") {
    for (uint32_t i = 0; i < 600; ++i) {
      flood += h2::headers(2 * i + 1, h2::get()) + h2::window(2 * i + 1, 0x7fffffff);
    }
  }
  ServerRig rig;
  net::End& client = rig.connect(h2::hello() + flood);
  rig.until([&] { return over(client); });
  const auto goaways = h2::frames(client.got, 7);
  REQUIRE(!goaways.empty());
  CHECK(goaways.back().code(4) == 11);
  client.connection->close();  // else it lingers: the clock stands
  rig.until([&] { return rig.server->empty(); });
  rig.settle();
  for (const auto& seen : rig.service.seen) CHECK((seen->aborted && seen->destroyed));
}

TEST_CASE("h2 server: what is no HTTP/2 ends the connection, and its handlers hear of it") {
  ServerRig rig;
  std::string bytes;
  SECTION("data on stream 0") { bytes = h2::data(0, "x"); }
  SECTION("even stream") { bytes = h2::headers(2, h2::get()); }
  SECTION("too large a frame") { bytes = h2::data(1, std::string(20'000, 'x')); }
  SECTION("bad header block") { bytes = h2::frame(1, 5, 3, "\xff\xff\xff\xff\xff\xff"); }
  net::End& client = rig.connect(h2::hello() + h2::headers(1, h2::post(), false) + bytes);
  rig.until([&] { return over(client); });
  CHECK(!h2::frames(client.got, 7).empty());
  client.connection->close();  // else it lingers: the clock stands
  rig.until([&] { return rig.server->empty(); });
  rig.settle();
  REQUIRE(rig.service.seen.size() == 1);
  CHECK(rig.service.seen[0]->aborted);
}

TEST_CASE("h2 server: a client that grants no window gets none of the body, then a reset") {
  ServerRig rig;
  const std::string body(100'000, 'x');
  rig.service.when_end = [&](Seen& s) { answer(*s.stream, body); };
  net::End& client =
      rig.connect(h2::kPreface + h2::settings(h2::setting(4, 100)) + h2::headers(1, h2::get()));
  rig.until([&] { return h2::body_of(client.got, 1).size() == 100; });
  Seen& seen = *rig.service.seen[0];
  CHECK(seen.stream->buffered() >= 99'900);
  client.connection->write_copy(h2::window(1, 50));
  rig.until([&] { return h2::body_of(client.got, 1).size() == 150; });
  CHECK_FALSE(seen.aborted);
  rig.clock.advance(std::chrono::seconds(31));
  rig.until([&] { return seen.aborted.has_value(); });
  CHECK(seen.aborted->kind == Error::Kind::timeout);
  rig.until([&] { return !h2::frames(client.got, 3, 1).empty(); });
}

TEST_CASE("h2 server: deadlines of heads, bodies and idleness") {
  ServerRig rig;
  SECTION("head") {
    net::End& client = rig.connect(h2::hello() + h2::frame(1, 1, 1, h2::block(h2::get())));
    rig.settle();
    rig.clock.advance(std::chrono::seconds(11));
    rig.until([&] { return over(client); });
    CHECK(!h2::frames(client.got, 7).empty());
  }
  SECTION("body") {
    net::End& client = rig.connect(h2::hello() + h2::headers(1, h2::post(), false));
    rig.until([&] { return rig.service.seen.size() == 1; });
    rig.clock.advance(std::chrono::seconds(31));
    rig.until([&] { return h2::ended(client.got, 1); });
    CHECK(rig.service.seen[0]->aborted->kind == Error::Kind::timeout);
    CHECK(h2::body_of(client.got, 1) == "request body too slow\n");
    rig.until([&] { return !h2::frames(client.got, 3, 1).empty(); });
  }
  SECTION("idle") {
    answer_at_end(rig);
    net::End& client = rig.connect(h2::hello() + h2::headers(1, h2::get()));
    rig.until([&] { return h2::ended(client.got, 1); });
    rig.clock.advance(std::chrono::seconds(59));
    rig.settle();
    CHECK_FALSE(over(client));
    rig.clock.advance(std::chrono::seconds(2));
    rig.until([&] { return over(client); });
    CHECK(h2::frames(client.got, 7).back().code(4) == 0);
  }
}

TEST_CASE("h2 server: a body too large is refused, an early answer ends its request") {
  ServerOptions options;
  options.limits.max_body_size = 10;
  ServerRig rig(std::move(options));
  SECTION("too large") {
    net::End& client =
        rig.connect(h2::hello() + h2::headers(1, h2::post(), false) + h2::data(1, "0123456789x"));
    rig.until([&] { return h2::ended(client.got, 1); });
    CHECK(h2::body_of(client.got, 1) == "request body too large\n");
    CHECK(rig.service.seen[0]->aborted->kind == Error::Kind::too_large);
  }
  SECTION("early") {
    rig.service.when_request = [](ServerStream& s, Seen&) { answer(s, "no"); };
    net::End& client = rig.connect(h2::hello() + h2::headers(1, h2::post(), false));
    rig.until([&] { return !h2::frames(client.got, 3, 1).empty(); });
    CHECK(h2::frames(client.got, 3, 1)[0].code() == 0);
    CHECK(h2::body_of(client.got, 1) == "no");
    CHECK(rig.service.seen[0]->sent == 1);
    CHECK_FALSE(rig.service.seen[0]->aborted);
  }
}
