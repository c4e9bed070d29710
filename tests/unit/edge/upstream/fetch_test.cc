// A fetch against real sockets: which member is asked, what is asked again, and what counts.
#include "edge/upstream/fetch.h"

#include <catch2/catch.hpp>

#include "tests/unit/core/http/client_stage.h"

using namespace bw;
using namespace bw::edge;
using bw::http::Served;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kOk = http::kOk;

// One server of the group: every connection made to it.
struct Server {
  std::vector<std::unique_ptr<Served>> served;
  std::unique_ptr<net::Listener> listener;
  net::Address address;
};

struct Told : FetchEvents {
  std::unique_ptr<Fetch> fetch;
  std::vector<std::string> events;
  int status = 0;
  std::string body;
  bool ended = false;
  bool proven = false;
  std::optional<Error> error;
  std::string drop_at;  // the event that drops the fetch

  bool over() const { return ended || error; }
  void note(const std::string& event) {
    events.push_back(event);
    if (event == drop_at) fetch.reset();
  }
  void on_fetch_head(const http::ResponseHead& head) override {
    status = head.status;
    note("head");
  }
  void on_fetch_body(std::string_view piece) override {
    body += piece;
    note("body");
  }
  void on_fetch_end(const http::FieldList&, bool p) override {
    ended = true;
    proven = p;
    note("end");
  }
  void on_fetch_error(Error e) override {
    error = e;
    note("error");
  }
  void on_fetch_writable() override { note("writable"); }
};

struct Stage {
  ManualClock clock;
  net::Loop loop{clock};
  SeededRandom random{1};
  std::vector<std::unique_ptr<Server>> servers;
  std::shared_ptr<Group> group;
  http::ClientPool pool{loop, {}};

  explicit Stage(size_t count, GroupSettings settings = {}) {
    // In order of their priority, so that a story knows who is asked first.
    std::vector<MemberSettings> members;
    for (size_t i = 0; i < count; ++i) {
      auto server = std::make_unique<Server>();
      std::string why;
      auto socket = net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
      INFO(why);
      REQUIRE(socket.ok());
      server->address = socket->address;
      server->listener = std::make_unique<net::Listener>(
          loop, socket->fd, [this, s = server.get()](int fd, const net::Address& peer) {
            auto end = std::make_unique<Served>();
            end->connection = net::Connection::accepted(loop, fd, peer, nullptr);
            end->connection->set_events(end.get());
            s->served.push_back(std::move(end));
          });
      MemberSettings member;
      member.target.address = server->address;
      member.origin_host = "origin" + std::to_string(i) + ".example:81";
      member.priority = static_cast<uint32_t>(i);
      members.push_back(member);
      servers.push_back(std::move(server));
    }
    group = Group::make(std::move(settings), std::move(members));
  }

  static FetchRequest request(std::string method = "GET") {
    FetchRequest r;
    r.head.method = std::move(method);
    r.head.target = "/x";
    r.head.authority = "shop.example";
    return r;
  }
  void start(Told& told, FetchRequest r = request()) {
    told.fetch = std::make_unique<Fetch>(loop, pool, group, random, std::move(r), told);
    told.fetch->start();
  }
  void until(const std::function<bool()>& done) {
    for (int i = 0; i < 300'000 && !done(); ++i) loop.turn(false);
    REQUIRE(done());
  }
  void settle(int turns = 8) {
    for (int i = 0; i < turns; ++i) loop.turn(false);
  }
  void advance(Duration d) {
    clock.advance(d);
    settle();
  }
  // The `n`th connection of a server, once it was asked on it `times`.
  Served& asked(size_t server, size_t n = 0, size_t times = 1) {
    auto& all = servers[server]->served;
    until([&] {
      if (all.size() <= n) return false;
      size_t found = 0;
      for (size_t at = 0; (at = all[n]->got.find("\r\n\r\n", at)) != std::string::npos; ++at) {
        ++found;
      }
      return found >= times;
    });
    return *all[n];
  }
  std::string state(size_t server) { return group->status(clock.mono())[server].state; }
  // One GET that the first server fails and the second answers.
  void fail_first(std::string_view answer = "") {
    Told told;
    const size_t n = servers[0]->served.size();
    start(told);
    Served& first = asked(0, n);
    first.say(answer);
    first.end();
    if (answer.empty()) {
      Served& second = asked(1, 0, ++answered);
      second.say(kOk);
    }
    until([&] { return told.over(); });
  }
  size_t answered = 0;
};

}  // namespace

TEST_CASE("fetch: one member answers; slot and member are given back") {
  Stage stage(1);
  Told told;
  stage.start(told);
  CHECK(stage.group->inflight() == 1);
  CHECK(stage.asked(0).got.starts_with("GET /x HTTP/1.1\r\nhost: shop.example\r\n"));
  CHECK(stage.group->status(stage.clock.mono())[0].inflight == 1);
  stage.asked(0).say(kOk);
  stage.until([&] { return told.over(); });
  CHECK(told.status == 200);
  CHECK(told.body == "ok");
  CHECK(told.proven);
  CHECK(told.fetch->tries() == 1);
  CHECK(told.fetch->upstream() == stage.servers[0]->address.text());
  CHECK(stage.group->inflight() == 0);
  CHECK(stage.group->status(stage.clock.mono())[0].inflight == 0);
}

TEST_CASE("fetch: the Host it sends is the client's, the member's own, or a literal") {
  for (const auto& [host, expected] :
       {std::pair{FetchRequest::Host::client, "host: shop.example\r\n"},
        std::pair{FetchRequest::Host::origin, "host: origin0.example:81\r\n"},
        std::pair{FetchRequest::Host::literal, "host: literal.example\r\n"}}) {
    Stage stage(1);
    Told told;
    FetchRequest request = Stage::request();
    request.host = host;
    request.host_literal = "literal.example";
    stage.start(told, request);
    CHECK(stage.asked(0).got.find(expected) != std::string::npos);
  }
}

TEST_CASE("fetch: a safe method that failed is asked once more, of another member") {
  Stage stage(3);
  Told told;
  stage.start(told);
  stage.asked(0).end();
  Served& second = stage.asked(1);
  SECTION("which answers") {
    second.say(kOk);
    stage.until([&] { return told.over(); });
    CHECK(told.body == "ok");
    CHECK(told.fetch->tries() == 2);
    CHECK(told.fetch->upstream() == stage.servers[1]->address.text());
  }
  SECTION("and not a third time") {
    second.end();
    stage.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.error->kind == Error::Kind::closed);
    CHECK(status_of(*told.error) == 502);
    CHECK(told.fetch->tries() == 2);
    CHECK(stage.servers[2]->served.empty());
  }
  CHECK(stage.group->inflight() == 0);
}

TEST_CASE("fetch: another method is asked again only when nothing of it was sent") {
  Stage stage(2);
  Told told;
  SECTION("the connection was refused") {
    stage.servers[0]->listener.reset();
    stage.start(told, Stage::request("POST"));
    stage.asked(1).say(kOk);
    stage.until([&] { return told.over(); });
    CHECK(told.body == "ok");
    CHECK(told.fetch->tries() == 2);
  }
  SECTION("it was sent, and no answer came") {
    stage.start(told, Stage::request("POST"));
    stage.asked(0).end();
    stage.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.fetch->tries() == 1);
    CHECK(stage.servers[1]->served.empty());
  }
  SECTION("a byte of the body was sent, though the method is safe") {
    FetchRequest request = Stage::request("GET");
    request.has_body = true;
    stage.start(told, request);
    CHECK_FALSE(told.fetch->wants_more());
    stage.until([&] { return !told.events.empty(); });
    CHECK(told.fetch->wants_more());
    told.fetch->send_body(Slice::copy_of("b"));
    stage.asked(0).end();
    stage.until([&] { return told.over(); });
    REQUIRE(told.error);
    CHECK(told.fetch->tries() == 1);
  }
}

TEST_CASE("fetch: a response that began is never asked again") {
  Stage stage(2);
  Told told;
  stage.start(told);
  stage.asked(0).say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart");
  stage.asked(0).end();
  stage.until([&] { return told.over(); });
  REQUIRE(told.error);
  CHECK(told.error->kind == Error::Kind::closed);
  CHECK(told.body == "part");
  CHECK(stage.servers[1]->served.empty());
}

TEST_CASE("fetch: a stale kept-alive connection is asked again of the same member, unblamed") {
  GroupSettings settings;
  settings.eject_after = 1;
  Stage stage(1, settings);
  Told first;
  stage.start(first);
  stage.asked(0).say(kOk);
  stage.until([&] { return first.over(); });
  Told second;
  stage.start(second);
  stage.servers[0]->served[0]->connection->close(true);
  stage.asked(0, 1).say(kOk);
  stage.until([&] { return second.over(); });
  CHECK(second.body == "ok");
  CHECK(second.fetch->tries() == 2);
  CHECK(stage.state(0) == "up");
}

TEST_CASE("fetch: a request at fault itself is neither asked again nor held against a member") {
  GroupSettings settings;
  settings.eject_after = 1;
  Stage stage(2, settings);
  Told told;
  FetchRequest request = Stage::request();
  request.head.target = "/with blank";
  stage.start(told, request);
  stage.until([&] { return told.over(); });
  REQUIRE(told.error);
  CHECK(told.error->side == Error::Side::client);
  CHECK(told.fetch->tries() == 1);
  CHECK(stage.state(0) == "up");
}

TEST_CASE("fetch: five failures put a member out, ten seconds bring it back") {
  Stage stage(2);
  for (int i = 0; i < 5; ++i) {
    CHECK(stage.state(0) == "up");
    stage.fail_first();
  }
  CHECK(stage.state(0) == "ejected");
  Told away;
  stage.start(away);
  stage.asked(1, 0, 6).say(kOk);
  stage.until([&] { return away.over(); });
  CHECK(away.fetch->tries() == 1);
  CHECK(stage.servers[0]->served.size() == 5);
  stage.advance(10s);
  CHECK(stage.state(0) == "up");
  Told back;
  stage.start(back);
  stage.asked(0, 5).say(kOk);
  stage.until([&] { return back.over(); });
  CHECK(back.body == "ok");
}

TEST_CASE("fetch: a gateway's 503 is passed on, and counts against its member; a 500 doesn't") {
  GroupSettings settings;
  settings.eject_after = 2;
  for (const bool gateway : {true, false}) {
    Stage stage(2, settings);
    for (int i = 0; i < 2; ++i) {
      stage.fail_first(gateway ? "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
                               : "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    }
    CHECK(stage.state(0) == (gateway ? "ejected" : "up"));
    CHECK(stage.servers[1]->served.empty());
  }
}

TEST_CASE("fetch: a member that is silent past the deadline: elsewhere, then 504") {
  Stage stage(2);
  Told told;
  FetchRequest request = Stage::request();
  request.deadlines.first_byte = 3s;
  stage.start(told, request);
  stage.asked(0);
  stage.advance(3s);
  CHECK_FALSE(told.over());
  stage.asked(1);
  stage.advance(3s);
  REQUIRE(told.error);
  CHECK(told.error->kind == Error::Kind::timeout);
  CHECK(status_of(*told.error) == 504);
}

TEST_CASE("fetch: beyond the origin budget a fetch waits its turn, and not for ever") {
  GroupSettings settings;
  settings.concurrency = 1;
  settings.queue = 1;
  settings.queue_timeout = 2s;
  Stage stage(1, settings);
  Told first;
  Told second;
  Told third;
  stage.start(first);
  stage.asked(0);
  stage.start(second);
  stage.start(third);
  CHECK_FALSE(third.error);  // never inside the call
  stage.until([&] { return third.over(); });
  CHECK(status_of(*third.error) == 503);
  SECTION("the slot passes on") {
    stage.advance(1s);
    stage.asked(0).say(kOk);
    stage.until([&] { return first.over(); });
    stage.asked(0, 0, 2).say(kOk);
    stage.until([&] { return second.over(); });
    CHECK(second.body == "ok");
    CHECK(stage.group->inflight() == 0);
    stage.advance(5s);
    CHECK(second.events.back() == "end");
  }
  SECTION("its wait runs out") {
    stage.advance(2s);
    REQUIRE(second.error);
    CHECK(status_of(*second.error) == 503);
    CHECK(stage.group->inflight() == 1);
  }
  SECTION("its client leaves") {
    second.fetch.reset();
    stage.asked(0).say(kOk);
    stage.until([&] { return first.over(); });
    stage.settle();
    CHECK(second.events.empty());
    CHECK(stage.group->inflight() == 0);
  }
}

TEST_CASE("fetch: retries end when their budget is spent") {
  GroupSettings settings;
  settings.retry_budget = 0;
  settings.eject_after = 0;
  Stage stage(2, settings);
  for (int i = 0; i < 10; ++i) stage.fail_first();
  Told told;
  stage.start(told);
  stage.asked(0, 10).end();
  stage.until([&] { return told.over(); });
  REQUIRE(told.error);
  CHECK(told.fetch->tries() == 1);
}

TEST_CASE("fetch: dropped inside any event, it is silent and all is given back") {
  for (const std::string at : {"head", "body", "end", "error", "writable", "queue", "no member"}) {
    INFO(at);
    GroupSettings settings;
    settings.concurrency = at == "queue" ? 0 : 10;
    Stage stage(at == "no member" ? 0 : 1, settings);
    Told told;
    told.drop_at = at == "queue" || at == "no member" ? "error" : at;
    FetchRequest request = Stage::request(at == "writable" ? "POST" : "GET");
    request.has_body = at == "writable";
    stage.start(told, request);
    if (at == "queue") {
      stage.advance(2s);
    } else if (at == "error") {
      stage.asked(0).end();
    } else if (at != "writable" && at != "no member") {
      stage.asked(0).say(kOk);
    }
    stage.until([&] { return told.fetch == nullptr; });
    const size_t events = told.events.size();
    stage.settle(20);
    CHECK(told.events.size() == events);
    CHECK(stage.group->inflight() == 0);
  }
}
