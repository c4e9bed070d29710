#include "edge/proxy/fill.h"

#include "tests/unit/edge/proxy/proxy_rig.h"

using namespace bw::edge;
using namespace bw;

namespace {

std::string chunk(std::string_view body) {
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", body.size());
  return size + std::string(body) + "\r\n";
}

std::string head_of_length(size_t length) {
  return "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: " +
         std::to_string(length) + "\r\n\r\n";
}

constexpr std::string_view kChunked =
    "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("a truncated body breaks its reader's message and is never stored") {
  ProxyRig rig;
  ScriptedClient& first = rig.ask(0, "/a");
  const Asked asked = rig.wait_asked(0);
  asked.end->say(head_of_length(100) + std::string(50, 'x'));
  rig.until([&] { return first.body.size() == 50; });
  asked.end->end();
  rig.until_over(first);
  CHECK(first.aborted);
  CHECK_FALSE(first.finished);

  ScriptedClient& second = rig.ask(1, "/a");
  rig.wait_asked(1).end->say(ProxyRig::response("whole"));
  rig.until_over(second);
  CHECK(second.body == "whole");
}

TEST_CASE("a response that isn't stored waits for its slow reader") {
  ProxyRig rig;
  rig.policy->max_object_size = 1 << 20;
  constexpr size_t kSize = 48 << 20;
  ScriptedClient& slow = rig.ask(0, "/big", {}, "GET", 64 * 1024);
  const Asked asked = rig.wait_asked(0);
  const std::string body = big_body(kSize);
  asked.end->say(head_of_length(kSize) + body);
  rig.until([&] { return slow.body.size() >= 64 * 1024; });
  rig.settle(3000);
  // What the kernel's buffers take is beyond us; the rest of it must still be upstream.
  CHECK(asked.end->connection->buffered() > kSize / 2);
  slow.take(SIZE_MAX / 2);
  rig.until_over(slow);
  CHECK(slow.finished);
  CHECK((slow.body == body));
}

TEST_CASE("who falls behind a fill that the disk keeps reads on from the disk") {
  ProxyRig rig({.memory = 4 << 20, .disk = true});
  const std::string body = big_body(6 << 20);
  ScriptedClient& fast = rig.ask(0, "/big");
  ScriptedClient& slow = rig.ask(1, "/big", {}, "GET", 100);
  const Asked asked = rig.wait_asked(0);
  asked.end->say(head_of_length(body.size()) + body);
  rig.until_over(fast);
  CHECK((fast.body == body));
  CHECK(slow.body.size() < body.size() / 2);
  slow.take(SIZE_MAX / 2);
  rig.until_over(slow);
  CHECK(slow.finished);
  CHECK((slow.body == body));
  CHECK(rig.asked.size() == 1);
}

TEST_CASE("a reader that was overrun doesn't hold the fill when the fast one leaves") {
  ProxyRig rig({.memory = 4 << 20, .disk = true});
  const std::string body = big_body(12 << 20);
  const size_t half = body.size() / 2;
  ScriptedClient& fast = rig.ask(0, "/big");
  ScriptedClient& slow = rig.ask(1, "/big", {}, "GET", 100);
  const Asked asked = rig.wait_asked(0);
  asked.end->say(head_of_length(body.size()) + body.substr(0, half));
  rig.until([&] { return fast.body.size() == half; });
  fast.leave();
  slow.take(SIZE_MAX / 2);
  rig.settle(100);
  asked.end->say(body.substr(half));
  rig.until_over(slow);
  CHECK(slow.finished);
  CHECK((slow.body == body));
}

TEST_CASE("a reader that was overrun breaks once nothing keeps the body, and holds nobody up") {
  ProxyRig rig({.memory = 4 << 20, .disk = true});
  rig.policy->max_object_size = 7 << 20;
  const std::string body = big_body(6 << 20);
  ScriptedClient& fast = rig.ask(0, "/big");
  ScriptedClient& slow = rig.ask(1, "/big", {}, "GET", 100);
  const Asked asked = rig.wait_asked(0);
  asked.end->say(std::string(kChunked) + chunk(body));
  rig.until([&] { return fast.body.size() == body.size(); });
  asked.end->say(chunk(body) + chunk(body) + "0\r\n\r\n");
  rig.until_over(fast);
  CHECK(fast.finished);
  CHECK((fast.body == body + body + body));
  rig.until_over(slow);
  CHECK(slow.aborted);
}

TEST_CASE("small chunks are kept in large pieces") {
  ProxyRig rig;
  ScriptedClient& client = rig.ask(0, "/dribble", {}, "GET", 0);
  const Asked asked = rig.wait_asked(0);
  asked.end->say(kChunked);
  rig.until([&] { return client.response.has_value(); });
  for (int i = 0; i < 2000; ++i) {
    asked.end->say("1\r\nx\r\n");
    rig.turn();
  }
  asked.end->say("0\r\n\r\n");
  rig.settle();
  client.take(SIZE_MAX / 2);
  rig.until_over(client);
  CHECK(client.body == std::string(2000, 'x'));
  CHECK(client.pieces <= 2);
}

TEST_CASE("a reader sees each byte once however its steps and the pieces fall") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    INFO(seed);
    SeededRandom random(seed);
    ProxyRig rig;
    if (seed % 2 == 0) rig.policy->max_object_size = 1;  // shared, not stored
    const std::string body = big_body(300'000);
    std::vector<ScriptedClient*> readers;
    const auto join = [&] {
      readers.push_back(&rig.ask(random.below(2), "/a", {}, "GET", random.below(5000)));
    };
    join();
    const Asked first = rig.wait_asked(0);
    rig.when_asked = [&](const Asked& again) { again.end->say(ProxyRig::response(body)); };
    first.end->say(kChunked);
    for (size_t at = 0; at < body.size();) {
      const size_t size = std::min<size_t>(1 + random.below(20'000), body.size() - at);
      first.end->say(chunk(std::string_view(body).substr(at, size)));
      at += size;
      rig.settle(static_cast<int>(random.below(4)));
      if (readers.size() < 6 && random.below(3) == 0) join();
      ScriptedClient& one = *readers[random.below(readers.size())];
      if (!one.ended()) one.take(random.below(60'000));
    }
    first.end->say("0\r\n\r\n");
    for (ScriptedClient* one : readers) {
      rig.settle(2);
      if (!one->ended()) one->take(SIZE_MAX / 2);
    }
    for (ScriptedClient* one : readers) {
      rig.until_over(*one);
      CHECK(one->finished);
      CHECK((one->body == body));
    }
  }
}
