#include "edge/proxy/coalescer.h"

#include "tests/unit/edge/proxy/proxy_rig.h"

using namespace bw::edge;
using namespace bw;

TEST_CASE("one fetch answers everybody who asks for a key, on both workers") {
  ProxyRig rig;
  for (size_t i = 0; i < 10; ++i) rig.ask(i % 2, "/a");
  const Asked asked = rig.wait_asked(0);
  rig.settle();
  asked.end->say(ProxyRig::response("body"));
  for (const auto& client : rig.clients) {
    rig.until_over(*client);
    CHECK(client->status() == 200);
    CHECK(client->body == "body");
  }
  CHECK(rig.asked.size() == 1);
  CHECK(rig.metrics.site("shop").coalesced->value() == 9);
  ScriptedClient& later = rig.ask(1, "/a");
  rig.until_over(later);
  CHECK(later.field("cache-status").find("hit") != std::string::npos);
}

TEST_CASE("one fetch a key while two threads ask for many") {
  ProxyRig rig({.threads = true});
  constexpr size_t kKeys = 40;
  rig.when_asked = [](const Asked& asked) {
    const size_t at = asked.head.find('/');
    const std::string path = asked.head.substr(at, asked.head.find(' ', at) - at);
    asked.end->say(ProxyRig::response(path + big_body(100'000)));
  };
  for (size_t i = 0; i < kKeys * 6; ++i) {
    rig.ask(i % 2, "/" + std::to_string(i / 6));
    if (i % 7 == 0) rig.turn();
  }
  for (size_t i = 0; i < rig.clients.size(); ++i) {
    ScriptedClient& client = *rig.clients[i];
    rig.until_over(client);
    CHECK((client.body == "/" + std::to_string(i / 6) + big_body(100'000)));
  }
  CHECK(rig.asked.size() == kKeys);
}

TEST_CASE("threads that join, read slowly and leave a fill that isn't stored all come to an end") {
  ProxyRig rig({.memory = 4 << 20, .disk = true, .threads = true});
  rig.policy->max_object_size = 3 << 20;  // some are kept on disk, others not at all
  rig.when_asked = [](const Asked& asked) {
    asked.end->say(ProxyRig::response(big_body(asked.has("/kept") ? 2'900'000 : 3'300'000)));
  };
  SeededRandom random(7);
  for (int i = 0; i < 60; ++i) {
    const std::string path = (random.below(2) == 0 ? "/kept" : "/big") + std::to_string(i / 10);
    rig.ask(static_cast<size_t>(i) % 2, path, {}, "GET", 1 + random.below(200'000));
    for (uint64_t k = random.below(30); k > 0; --k) rig.turn();
    const size_t which = random.below(rig.clients.size());
    ScriptedClient& some = *rig.clients[which];
    const bool leaves = random.below(4) == 0;
    const size_t more = random.below(2'000'000);
    rig.on(which % 2, [&] {
      if (some.ended()) return;
      if (leaves) {
        some.leave();
      } else {
        some.take(more);
      }
    });
  }
  for (size_t i = 0; i < rig.clients.size(); ++i) {
    ScriptedClient& client = *rig.clients[i];
    rig.on(i % 2, [&] {
      if (!client.ended()) client.take(SIZE_MAX / 2);
    });
  }
  for (const auto& client : rig.clients) {
    rig.until_over(*client);
    if (client->finished && !client->left) CHECK(client->body.size() > 2'000'000);
  }
}

TEST_CASE("a leader that leaves doesn't take its followers along") {
  ProxyRig rig;
  ScriptedClient& leader = rig.ask(0, "/a");
  ScriptedClient& follower = rig.ask(1, "/a");
  const Asked asked = rig.wait_asked(0);
  SECTION("before the head") {
    leader.leave();
    rig.settle();
    asked.end->say(ProxyRig::response("body"));
  }
  SECTION("within the body") {
    asked.end->say("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbo");
    rig.until([&] { return leader.body == "bo"; });
    leader.leave();
    rig.settle();
    asked.end->say("dy");
  }
  rig.until_over(follower);
  CHECK(follower.body == "body");
  CHECK(rig.asked.size() == 1);
}

TEST_CASE("what isn't shareable is its leader's; each follower fetches its own") {
  ProxyRig rig;
  for (size_t i = 0; i < 5; ++i) rig.ask(i % 2, "/me");
  const Asked first = rig.wait_asked(0);
  rig.settle();
  CHECK(rig.asked.size() == 1);
  int answers = 0;
  const auto answer = [&](const Asked& asked) {
    const std::string body = std::to_string(answers++);
    asked.end->say("HTTP/1.1 200 OK\r\ncache-control: private\r\ncontent-length: 1\r\n\r\n" + body);
  };
  rig.when_asked = answer;
  answer(first);
  std::string all;
  for (const auto& client : rig.clients) {
    rig.until_over(*client);
    all += client->body;
  }
  std::sort(all.begin(), all.end());
  CHECK(all == "01234");
  CHECK(rig.clients[0]->body == "0");
  CHECK(rig.asked.size() == 5);
}

TEST_CASE("those who want another variant than the one under way follow one fetch of theirs") {
  ProxyRig rig;
  rig.ask(0, "/v", {{"accept-language", "de"}});
  const Asked german = rig.wait_asked(0);
  for (size_t i = 0; i < 6; ++i) rig.ask(i % 2, "/v", {{"accept-language", "fr"}});
  const std::string vary = "vary: accept-language\r\n";
  german.end->say("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n" + vary +
                  "content-length: 2\r\n\r\nd");
  const Asked french = rig.wait_asked(1);
  rig.settle(50);
  CHECK(rig.asked.size() == 2);
  for (size_t i = 1; i < rig.asked.size(); ++i) {
    rig.asked[i].end->say(ProxyRig::response("fr", vary));
  }
  for (size_t i = 1; i < rig.clients.size(); ++i) {
    rig.until_over(*rig.clients[i]);
    CHECK(rig.clients[i]->body == "fr");
  }
  german.end->say("e");
  rig.until_over(*rig.clients[0]);
  CHECK(rig.clients[0]->body == "de");
}
