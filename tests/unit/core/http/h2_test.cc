#include <catch2/catch.hpp>

#include "tests/unit/core/http/client_stage.h"
#include "tests/unit/core/http/server_rig.h"

// Our client's HTTP/2 against our server's: over one loop, plain (prior knowledge).
using namespace bw;
using namespace bw::http;

namespace {

struct Both : ServerRig {
  ClientPool pool;
  Target target;

  explicit Both(ServerOptions options = {}, ClientLimits limits = {})
      : ServerRig(std::move(options)), pool(loop, limits) {
    target.address = address;
    target.protocol = Target::Protocol::http2;
  }
  void fetch(Told& told, const RequestHead& head = ClientStage::head(), bool has_body = false,
             const ClientDeadlines& deadlines = {}) {
    told.stream = pool.fetch(target, head, has_body, deadlines, told);
  }
};

}  // namespace

TEST_CASE("h2: many requests share a connection and each gets its own answer") {
  Both rig;
  rig.service.when_end = [](Seen& s) { answer(*s.stream, "for " + s.head.target); };
  std::vector<std::unique_ptr<Told>> told;
  for (int i = 0; i < 300; ++i) {
    told.push_back(std::make_unique<Told>());
    rig.fetch(*told.back(), ClientStage::head("GET", "/" + std::to_string(i)));
  }
  rig.until([&] {
    return std::all_of(told.begin(), told.end(), [](const auto& t) { return t->over(); });
  });
  for (int i = 0; i < 300; ++i) {
    INFO(i);
    const Told& t = *told[static_cast<size_t>(i)];
    REQUIRE(t.ended);
    CHECK(t.proven);
    CHECK(t.head->status == 200);
    CHECK(t.head->version == Version::http2);
    CHECK(t.body == "for /" + std::to_string(i));
  }
  rig.settle();
  CHECK(rig.server->counters().requests_http2 == 300);
  CHECK(rig.server->counters().accepted == 1);
  for (const auto& seen : rig.service.seen) CHECK((seen->sent == 1 && seen->destroyed));
  CHECK(rig.pool.idle_connections() == 1);
  rig.pool.close_idle();
  rig.until([&] { return rig.server->empty(); });
}

TEST_CASE("h2: heads, bodies, interim responses and trailers pass both ways") {
  Both rig;
  rig.service.when_request = [](ServerStream& s, Seen&) {
    FieldList hints;
    hints.add("link", "</x>");
    s.send_informational(103, hints);
  };
  rig.service.when_end = [](Seen& s) {
    ResponseHead head = head_of(200);
    head.fields.add("connection", "close");
    head.fields.add("x-a", "1");
    s.stream->send_head(head);
    s.stream->send_body(Slice::copy_of("back:" + s.body));
    FieldList trailers;
    trailers.add("x-sum", "9");
    trailers.add("content-length", "1");
    s.stream->finish(&trailers);
  };
  RequestHead head = ClientStage::head("POST", "/up?q");
  head.fields.add("cookie", "a=1; b=2");
  head.fields.add("te", "trailers");
  head.fields.add("upgrade", "x");
  Told told;
  rig.fetch(told, head, true);
  told.stream->send_body(Slice::copy_of("hello"));
  FieldList trailers;
  trailers.add("x-up", "3");
  told.stream->finish(&trailers);
  rig.until([&] { return told.over(); });
  REQUIRE(told.ended);
  CHECK(told.interims == std::vector<int>{103});
  CHECK(told.body == "back:hello");
  CHECK(told.head->fields.find("x-a") == "1");
  CHECK_FALSE(told.head->fields.find("connection"));
  CHECK(told.trailers.find("x-sum") == "9");
  CHECK(told.trailers.size() == 1);
  const Seen& seen = *rig.service.seen.at(0);
  CHECK(seen.head.method == "POST");
  CHECK(seen.head.target == "/up?q");
  CHECK(seen.head.authority == "shop.example");
  CHECK(seen.head.version == Version::http2);
  CHECK(seen.head.has_body);
  CHECK(seen.head.fields.find("cookie") == "a=1; b=2");
  CHECK(seen.head.fields.find("te") == "trailers");
  CHECK_FALSE(seen.head.fields.find("upgrade"));
  CHECK(seen.trailers == std::vector<std::string>{"x-up=3"});
}

TEST_CASE("h2: bodies larger than all windows pass with back-pressure both ways") {
  Both rig;
  const size_t size = 12'000'000;
  size_t sent_up = 0, sent_down = 0;
  std::string pattern;
  for (int i = 0; i < 50'000; ++i) pattern.push_back(static_cast<char>('a' + i % 23));
  const Slice piece = Slice::copy_of(pattern);
  const auto down = [&](Seen& s) {
    while (sent_down < size && s.stream->wants_more()) {
      s.stream->send_body(piece);
      sent_down += piece.size();
    }
    if (sent_down >= size) s.stream->finish();
  };
  rig.service.when_end = [&](Seen& s) {
    s.stream->send_head(head_of(200, size));
    down(s);
  };
  rig.service.when_writable = down;
  Told told;
  const auto up = [&] {
    while (sent_up < size && told.stream->wants_more()) {
      told.stream->send_body(piece);
      sent_up += piece.size();
    }
    if (sent_up >= size) told.stream->finish();
  };
  RequestHead head = ClientStage::head("POST", "/");
  head.content_length = size;
  told.when = [&](const std::string& event) {
    if (event == "writable") up();
  };
  rig.fetch(told, head, true);
  rig.until([&] { return told.over(); });
  REQUIRE(told.ended);
  CHECK(rig.service.seen[0]->body.size() == size);
  CHECK(told.body.size() == size);
  CHECK(told.body == rig.service.seen[0]->body);
  CHECK(rig.service.seen[0]->writable > 3);
  CHECK(told.writable > 3);
}

TEST_CASE("h2: a paused reader stops its stream, and no other") {
  Both rig;
  const std::string large(3'000'000, 'x');
  rig.service.when_end = [&](Seen& s) {
    if (s.head.target == "/large") {
      s.stream->send_head(head_of(200));
      s.stream->send_body(Slice::copy_of(large));
      s.stream->finish();
    } else {
      answer(*s.stream, "small");
    }
  };
  Told paused, other;
  rig.fetch(paused, ClientStage::head("GET", "/large"));
  paused.stream->pause();
  rig.settle(200);
  CHECK(paused.events.empty());
  rig.fetch(other);
  rig.until([&] { return other.over(); });
  CHECK(other.body == "small");
  CHECK(paused.events.empty());
  paused.stream->resume();
  rig.until([&] { return paused.over(); });
  CHECK(paused.body.size() == large.size());
  CHECK(paused.ended);
  rig.settle();
  CHECK(rig.service.seen[0]->sent == 1);
}

TEST_CASE("h2: a server's abort is an error, a client's cancel is an abort") {
  Both rig;
  Told told;
  rig.fetch(told, ClientStage::head("GET", "/"));
  rig.until([&] { return !rig.service.seen.empty(); });
  Seen& seen = *rig.service.seen[0];
  SECTION("server, before the head") {
    seen.stream->abort({});
    rig.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.error->kind == Error::Kind::closed);
    CHECK(told.error->retry == Error::Retry::no);
    CHECK_FALSE(seen.aborted);
  }
  SECTION("server, within the body") {
    seen.stream->send_head(head_of(200));
    seen.stream->send_body(Slice::copy_of("part"));
    rig.until([&] { return told.body == "part"; });
    seen.stream->abort({});
    rig.until([&] { return told.over(); });
    CHECK(told.error);
    CHECK_FALSE(seen.aborted);
  }
  SECTION("server, short of its promise") {
    seen.stream->send_head(head_of(200, 10));
    seen.stream->send_body(Slice::copy_of("part"));
    seen.stream->finish();
    rig.until([&] { return told.over(); });
    CHECK(told.error);
    rig.settle();
    REQUIRE(seen.aborted);
    CHECK(seen.aborted->kind == Error::Kind::internal);
  }
  SECTION("client") {
    told.stream.reset();
    rig.until([&] { return seen.aborted.has_value(); });
    CHECK(seen.aborted->kind == Error::Kind::closed);
    CHECK_FALSE(told.over());
  }
  rig.settle();
  CHECK(seen.destroyed);
  // The connection lives on.
  rig.service.when_end = [](Seen& s) { answer(*s.stream, "hi"); };
  Told next;
  rig.fetch(next);
  rig.until([&] { return next.over(); });
  CHECK(next.body == "hi");
  CHECK(next.stream->reused_connection());
  CHECK(rig.server->counters().accepted == 1);
}

TEST_CASE("h2: Expect: 100-continue holds the body until it is asked for") {
  Both rig;
  RequestHead head = ClientStage::head("POST", "/");
  head.fields.add("expect", "100-continue");
  Told told;
  rig.service.when_end = [](Seen& s) { answer(*s.stream, s.body); };
  SECTION("asked for at once") {}
  SECTION("asked for later") {
    rig.service.when_request = [](ServerStream& s, Seen&) { s.pause_body(); };
  }
  rig.fetch(told, head, true);
  told.stream->send_body(Slice::copy_of("body"));
  told.stream->finish();
  rig.settle();
  if (rig.service.when_request) {
    rig.until([&] { return !rig.service.seen.empty(); });
    rig.settle();
    CHECK(told.interims.empty());
    rig.service.seen[0]->stream->resume_body();
  }
  rig.until([&] { return told.over(); });
  CHECK(told.interims == std::vector<int>{100});
  CHECK(told.body == "body");
}

TEST_CASE("h2: a drained server answers what is under way, and the client goes elsewhere") {
  Both rig;
  Told told;
  rig.fetch(told);
  rig.until([&] { return !rig.service.seen.empty(); });
  rig.server->drain();
  rig.settle();
  CHECK_FALSE(rig.server->empty());
  answer(*rig.service.seen[0]->stream, "last");
  rig.until([&] { return told.over(); });
  CHECK(told.body == "last");
  rig.until([&] { return rig.server->empty(); });
  rig.settle();
  CHECK(rig.pool.open_connections() == 0);
  CHECK(rig.service.seen[0]->sent == 1);
}

TEST_CASE("h2: the peer's limit of streams is kept") {
  ServerOptions options;
  options.limits.max_streams = 3;
  Both rig(std::move(options));
  std::vector<std::unique_ptr<Told>> told;
  for (int i = 0; i < 10; ++i) {
    told.push_back(std::make_unique<Told>());
    rig.fetch(*told.back());
    if (i > 0) continue;
    rig.until([&] { return rig.service.seen.size() == 1; });
    rig.settle();  // the settings come
  }
  rig.settle(200);
  CHECK(rig.service.seen.size() == 3);
  size_t answered = 0;
  while (answered < 10) {
    rig.until([&] { return rig.service.seen.size() > answered; });
    answer(*rig.service.seen[answered++]->stream, "x");
  }
  rig.until([&] {
    return std::all_of(told.begin(), told.end(), [](const auto& t) { return t->ended; });
  });
}

TEST_CASE("h2: a request dropped or a pool destroyed inside an event is safe") {
  auto rig = std::make_unique<Both>();
  rig->service.when_end = [](Seen& s) { answer(*s.stream, "hello"); };
  for (const std::string event : {"head", "body", "end"}) {
    Told told;
    bool happened = false;
    told.when = [&](const std::string& e) {
      if (e == event) happened = true, told.stream.reset();
    };
    rig->fetch(told);
    rig->until([&] { return happened; });
    rig->settle();
  }
  Told open;
  rig->service.when_end = nullptr;
  rig->fetch(open);
  rig->until([&] { return rig->service.seen.size() == 4; });
  rig->server->close_all();
  rig->until([&] { return open.over(); });
  CHECK(open.error);
}
