#include "edge/proxy/exchange.h"

#include "tests/unit/edge/proxy/proxy_rig.h"

using namespace bw::edge;
using namespace bw;

namespace {

const Fields kTier = {{"breakwater-tier-token", "secret"}, {"breakwater-purge-seq", "0.0"}};

}  // namespace

TEST_CASE("a purge between join and headers makes every reader who knew it fetch anew") {
  ProxyRig rig;
  ScriptedClient& leader = rig.ask(0, "/a");
  const Asked old = rig.wait_asked(0);
  std::string field;
  SECTION("by a tag") {
    rig.purge_tag("t", 1);
    field = "cache-tag: t\r\n";
  }
  SECTION("by a group") {
    rig.purge(PurgeKind::group, {0, group_hash("http://shop.example", "g")}, make_position(1, 1));
    field = "cache-groups: \"g\"\r\n";
  }
  ScriptedClient& follower = rig.ask(1, "/a");  // its tags aren't known yet: it may join
  rig.settle();
  CHECK(rig.asked.size() == 1);
  old.end->say(ProxyRig::response("old", field));
  rig.wait_asked(1).end->say(ProxyRig::response("new", field));
  rig.until_over(follower);
  rig.until_over(leader);
  CHECK(follower.body == "new");
  ScriptedClient& later = rig.ask(0, "/a");
  rig.until_over(later);
  CHECK(later.body == "new");
}

// The origin's truth changes with each purge, and an answer may be as old as its request. Nobody
// may be told less than what was true when he asked.
TEST_CASE("nobody is answered by what a purge had passed before he asked, in any order of events") {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    INFO(seed);
    SeededRandom random(seed);
    ProxyRig rig({.memory = 16 << 20, .disk = seed % 5 == 0});
    const bool soft = seed % 3 == 0;
    uint64_t version = 0;
    struct Due {
      Asked asked;
      uint64_t version = 0;
      int sent = 0;
    };
    std::vector<Due> due;
    rig.when_asked = [&](const Asked& asked) { due.push_back({asked, version, 0}); };
    std::vector<uint64_t> least;
    const auto head = [&](uint64_t v) {
      // Each version has a length of its own.
      return "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncache-tag: t\r\ncontent-length: " +
             std::to_string(10 + v) + "\r\n\r\n";
    };
    const auto go_on = [&](Due& one) {
      if (one.sent == 0) {
        one.asked.end->say(head(one.version));
      } else {
        one.asked.end->say(std::string(10 + one.version, 'b'));
      }
      ++one.sent;
    };
    for (int step = 0; step < 120; ++step) {
      switch (random.below(8)) {
        case 0:
        case 1:
          least.push_back(version);
          rig.ask(random.below(2), "/a");
          break;
        case 2:
          ++version;
          rig.purge_tag("t", version, soft ? PurgeMode::soft : PurgeMode::hard);
          break;
        case 3:
          if (!due.empty()) {
            const size_t which = random.below(due.size());
            go_on(due[which]);
            if (due[which].sent == 2) due.erase(due.begin() + static_cast<std::ptrdiff_t>(which));
          }
          break;
        case 4:
          rig.upstream.turn(false);
          break;
        default:
          rig.loops[random.below(2)]->turn(false);
      }
    }
    rig.until([&] {
      for (Due& one : due) {
        while (one.sent < 2) go_on(one);
      }
      due.clear();
      for (const auto& client : rig.clients) {
        if (!client->over) return false;
      }
      return true;
    });
    for (size_t i = 0; i < rig.clients.size(); ++i) {
      const ScriptedClient& client = *rig.clients[i];
      CHECK(client.misuses == 0);
      CHECK(client.status() == 200);
      CHECK(client.body.size() >= 10 + least[i]);
    }
    CHECK(rig.sink.kept.size() == rig.clients.size());
  }
}

TEST_CASE("a fill that nobody reads ends, unless it is stored") {
  ProxyRig rig;
  ScriptedClient& client = rig.ask(0, "/a");
  const Asked asked = rig.wait_asked(0);
  const bool stored = GENERATE(false, true);
  const std::string control = stored ? "max-age=60" : "private";
  asked.end->say("HTTP/1.1 200 OK\r\ncache-control: " + control +
                 "\r\ncontent-length: 4\r\n\r\nbo");
  rig.until([&] { return client.body == "bo"; });
  client.leave();
  if (!stored) {
    rig.until([&] { return asked.end->gone; });
    return;
  }
  rig.settle();
  asked.end->say("dy");
  rig.settle();
  ScriptedClient& later = rig.ask(1, "/a");
  rig.until_over(later);
  CHECK(later.body == "body");
  CHECK(rig.asked.size() == 1);
}

TEST_CASE("a client that leaves within a body is charged for what it got") {
  ProxyRig rig;
  std::string path;
  SECTION("of a fill") { path = "/a"; }
  SECTION("of a pass") {
    path = "/p";
    rig.policy->stores = false;
  }
  ScriptedClient& client = rig.ask(0, path);
  rig.wait_asked(0).end->say(
      "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncache-control: max-age=9\r\n\r\nbo");
  rig.until([&] { return client.body == "bo"; });
  client.leave();
  REQUIRE(rig.sink.kept.size() == 1);
  CHECK(rig.sink.kept[0].bytes_out == 2);
  CHECK(rig.sink.kept[0].status == 200);
}

TEST_CASE("a client that leaves while a piece comes from the disk isn't written to any more") {
  ProxyRig rig({.memory = 8 << 20, .disk = true});
  const std::string body = big_body(3 << 20);
  ScriptedClient& first = rig.ask(0, "/a");
  rig.wait_asked(0).end->say(ProxyRig::response(body));
  rig.until_over(first);
  std::atomic<bool> written{false};
  rig.disk->flush([&] { written = true; });
  rig.until([&] { return written.load(); });
  for (int turns = 0; turns < 40; ++turns) {
    ScriptedClient& client = rig.ask(0, "/a", {}, "GET", 200'000);
    rig.until([&] { return client.body.size() >= 200'000; });
    client.take(600'000);
    rig.settle(turns % 5);
    client.leave();
    rig.settle(50);
    CHECK(client.misuses == 0);
  }
  CHECK(rig.asked.size() == 1);
}

TEST_CASE("a stale answer in place of an error is lawful by the lag of now") {
  ProxyRig rig({.log = true});
  ScriptedClient& first = rig.ask(0, "/a");
  rig.wait_asked(0).end->say(
      "HTTP/1.1 200 OK\r\ncache-control: max-age=1, stale-if-error=600\r\netag: \"e\"\r\n"
      "content-length: 3\r\n\r\nold");
  rig.until_over(first);
  rig.clock.advance(std::chrono::seconds(3));
  rig.settle();
  ScriptedClient& second = rig.ask(0, "/a");
  const Asked asked = rig.wait_asked(1);
  const bool lags = GENERATE(false, true);
  if (lags) rig.clock.advance(std::chrono::seconds(8));  // lag_limit is 5 s
  rig.settle();
  asked.end->end();
  rig.until_over(second);
  if (lags) {
    CHECK(second.status() == 504);
    CHECK(second.field("cache-status").find("lag") != std::string::npos);
  } else {
    CHECK(second.status() == 200);
    CHECK(second.body == "old");
  }
}

TEST_CASE("a pass through a shield tells the tier below no more than the shield proved") {
  ProxyRig rig({.shields = true});
  rig.policy->stores = false;
  rig.purge_tag("x", 5);
  ScriptedClient& client = rig.ask(0, "/a", kTier);
  const Asked asked = rig.wait_asked(0);
  std::string fields;
  std::string told;
  std::string stale;
  SECTION("older and stale") {
    fields = "breakwater-purge-seq: 1.3\r\nbreakwater-stale: 1\r\n";
    told = "1.3";
    stale = "1";
  }
  SECTION("newer: what we knew when we asked") {
    fields = "breakwater-purge-seq: 1.9\r\n";
    told = "1.5";
  }
  SECTION("nothing") {}
  rig.purge_tag("x", 8);
  asked.end->say(ProxyRig::response("x", fields));
  rig.until_over(client);
  CHECK(client.field("breakwater-purge-seq") == told);
  CHECK(client.field("breakwater-stale") == stale);
}

TEST_CASE("an answer without a position is unproved where it would be stored, and only there") {
  ProxyRig rig({.shields = true});
  ScriptedClient& error = rig.ask(0, "/error");
  rig.wait_asked(0).end->say(
      "HTTP/1.1 502 Bad Gateway\r\ncache-control: no-store\r\ncontent-length: 0\r\n\r\n");
  rig.until_over(error);
  CHECK(rig.metrics.tier_unproved.value() == 0);

  ScriptedClient& client = rig.ask(0, "/a");
  rig.wait_asked(1).end->say(ProxyRig::response("body"));
  rig.until_over(client);
  CHECK(rig.metrics.tier_unproved.value() == 1);
  CHECK(client.field("cache-status").find("uncacheable:tier-unproved") != std::string::npos);
}

TEST_CASE("a request body waits while its shield failed and the origin's budget is full") {
  ProxyRig rig({.concurrency = 1, .shields = true});
  rig.policy->stores = false;
  // The only slot of the origin.
  ScriptedClient& holder = rig.ask(0, "/hold");
  rig.wait_asked(0).end->end();
  const Asked held = rig.wait_asked(1);
  rig.when_asked = [&](const Asked& asked) {
    if (asked.has("breakwater-site") || asked.has("Breakwater-Site")) asked.end->end();
  };
  ScriptedClient& client = rig.ask(0, "/post", {}, "POST");
  rig.wait_asked(2);
  rig.settle(60);
  rig.settle();
  client.handler->on_body("hello ");
  client.handler->on_body("world");
  client.handler->on_body_end({});
  held.end->say(ProxyRig::response("x"));
  rig.until_over(holder);
  const Asked post = rig.wait_asked(3);
  rig.until([&] { return post.end->got.find("world") != std::string::npos; });
  post.end->say(ProxyRig::response("done"));
  rig.until_over(client);
  CHECK(client.status() == 200);
  CHECK(client.body == "done");
}

TEST_CASE("a tier that heard of a purge first gets an answer that is newer than it") {
  ProxyRig rig;
  rig.purge_tag("x", 5);
  ScriptedClient& stored = rig.ask(0, "/a");
  rig.wait_asked(0).end->say(ProxyRig::response("old", "etag: \"e\"\r\ncache-tag: t\r\n"));
  rig.until_over(stored);
  const Fields ahead = {{"breakwater-tier-token", "secret"}, {"breakwater-purge-seq", "1.7"}};
  ScriptedClient& one = rig.ask(0, "/a", ahead);
  ScriptedClient& two = rig.ask(1, "/a", ahead);
  rig.settle();
  CHECK(rig.asked.size() == 1);
  SECTION("the purge comes here in time") {
    rig.purge_tag("t", 7);
    rig.clock.advance(std::chrono::milliseconds(10));
  }
  SECTION("the purge comes in time and concerns something else") {
    rig.purge_tag("y", 7);
    rig.clock.advance(std::chrono::milliseconds(10));
    rig.until_over(one);
    rig.until_over(two);
    CHECK(one.body == "old");
    CHECK(one.field("breakwater-purge-seq") == "1.7");
    CHECK(rig.asked.size() == 1);
    return;
  }
  SECTION("it doesn't") {
    for (int i = 0; i < 40; ++i) {
      rig.clock.advance(std::chrono::milliseconds(2));
      rig.settle(2);
    }
  }
  const Asked asked = rig.wait_asked(1);
  rig.settle();
  CHECK_FALSE(asked.has("\"e\""));
  asked.end->say(ProxyRig::response("new", "cache-tag: t\r\n"));
  rig.until_over(one);
  rig.until_over(two);
  CHECK(one.body == "new");
  CHECK(two.body == "new");
  CHECK(one.field("breakwater-purge-seq") == "1.7");
  CHECK(rig.asked.size() == 2);
}

TEST_CASE("in lag nobody joins a fetch that began before the limit") {
  ProxyRig rig({.log = true});
  rig.ask(0, "/a");
  const Asked first = rig.wait_asked(0);
  rig.clock.advance(std::chrono::seconds(8));  // lag_limit is 5 s
  rig.settle();
  ScriptedClient& late = rig.ask(1, "/a");
  rig.wait_asked(1).end->say(ProxyRig::response("new"));
  rig.until_over(late);
  CHECK(late.body == "new");
}

TEST_CASE("a fetch that waits for a slot goes on after a reload replaced its group") {
  ProxyRig rig({.concurrency = 1});
  ScriptedClient& holder = rig.ask(0, "/hold");
  const Asked held = rig.wait_asked(0);
  ScriptedClient& waiting = rig.ask(1, "/wait");
  rig.settle();
  auto reloaded = std::make_shared<Snapshot>(*rig.snapshot);
  reloaded->groups[{"shop", "default"}] = rig.group("shop", 1);
  rig.workers[1]->set_snapshot(reloaded);
  rig.settle();
  held.end->say(ProxyRig::response("x"));
  rig.until_over(holder);
  rig.wait_asked(1).end->say(ProxyRig::response("y"));
  rig.until_over(waiting);
  CHECK(waiting.body == "y");
}
