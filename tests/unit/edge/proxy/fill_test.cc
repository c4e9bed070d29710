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

namespace {

// 14 fills of 1 MiB in a tier of 8 MiB: twice what bodies on their way may take.
constexpr size_t kMany = 14;
constexpr size_t kLarge = 1 << 20;

struct ManyFills {
  explicit ManyFills(bool disk) : rig({.memory = 8 << 20, .disk = disk}) {}
  ProxyRig rig;
  const std::string body = big_body(kLarge);
  std::vector<ScriptedClient*> readers;
  std::vector<Asked> fetches;

  // A reader that takes `window` bytes for now, and its fetch.
  void begin(size_t window) {
    const std::string target = "/" + std::to_string(readers.size());
    readers.push_back(&rig.ask(readers.size() % 2, target, {}, "GET", window));
    fetches.push_back(rig.wait_asked(fetches.size()));
  }
  size_t held() const { return rig.store->memory().reserved(); }
};

}  // namespace

TEST_CASE("fills of slow readers stay within the budget, and every reader gets every byte") {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    INFO(seed);
    SeededRandom random(seed);
    ManyFills many(seed % 3 == 0);
    ProxyRig& rig = many.rig;
    // Every fourth seed tells no lengths.
    const bool chunked = seed % 4 == 0;
    for (size_t i = 0; i < kMany; ++i) {
      many.begin(random.below(80'000));
      many.fetches[i].end->say(chunked ? std::string(kChunked) : head_of_length(kLarge));
    }
    const size_t most = (4u << 20) + kMany * (BodyMemory::kLeast + Insert::kFlat / 8);
    size_t peak = 0;
    std::vector<size_t> said(kMany, 0);
    for (size_t steps = 0; steps < 1500; ++steps) {
      const size_t i = random.below(kMany);
      const size_t size = std::min<size_t>(1 + random.below(60'000), kLarge - said[i]);
      const std::string_view piece = std::string_view(many.body).substr(said[i], size);
      if (size > 0) many.fetches[i].end->say(chunked ? chunk(piece) : std::string(piece));
      said[i] += size;
      rig.settle(static_cast<int>(random.below(3)));
      ScriptedClient& one = *many.readers[random.below(kMany)];
      if (random.below(4) == 0 && !one.ended()) one.take(random.below(50'000));
      peak = std::max(peak, many.held());
      if (rig.store->memory().used() > (8u << 20) + kMany * BodyMemory::kLeast) FAIL("too much");
    }
    CHECK(peak <= most);
    for (size_t i = 0; i < kMany; ++i) {
      const std::string_view rest = std::string_view(many.body).substr(said[i]);
      many.fetches[i].end->say(!chunked       ? std::string(rest)
                               : rest.empty() ? "0\r\n\r\n"
                                              : chunk(rest) + "0\r\n\r\n");
    }
    // In any order, and each to its end while the others stand still.
    for (size_t n = 0; n < kMany; ++n) {
      ScriptedClient& one = *many.readers[(n * 5 + seed) % kMany];
      if (!one.ended()) one.take(SIZE_MAX / 2);
      rig.until_over(one);
      CHECK(one.finished);
      CHECK((one.body == many.body));
    }
    rig.until([&] { return many.held() == 0; });
  }
}

TEST_CASE("a fill without room pauses until its reader has nothing left, and is counted") {
  ManyFills many(false);
  ProxyRig& rig = many.rig;
  rig.store->memory().reserve_anyway(4 << 20);
  many.begin(100'000);
  many.fetches[0].end->say(head_of_length(kLarge) + many.body);
  rig.until([&] { return many.readers[0]->body.size() >= 100'000; });
  rig.settle(300);
  CHECK(rig.metrics.fill_pauses.value() > 0);
  CHECK(many.held() - (4 << 20) <= BodyMemory::kLeast + 64 * 1024);
  many.readers[0]->take(SIZE_MAX / 2);
  rig.until_over(*many.readers[0]);
  CHECK((many.readers[0]->body == many.body));
  rig.until([&] { return many.held() == 4 << 20; });
  rig.store->memory().release(4 << 20);
}

TEST_CASE("a small object is stored though slow readers use up the budget") {
  ManyFills many(false);
  ProxyRig& rig = many.rig;
  rig.store->memory().reserve_anyway(4 << 20);
  const std::string small = big_body(BodyMemory::kLeast);
  ScriptedClient& first = rig.ask(0, "/small");
  rig.wait_asked(0).end->say(ProxyRig::response(small));
  rig.until_over(first);
  ScriptedClient& second = rig.ask(1, "/small");
  rig.until_over(second);
  CHECK((second.body == small));
  CHECK(rig.asked.size() == 1);
  rig.store->memory().release(4 << 20);
}

TEST_CASE("an object that memory holds isn't held a second time by its slow readers") {
  ManyFills many(false);
  ProxyRig& rig = many.rig;
  const std::string body = big_body(900'000);
  // Told in chunks it lies in one piece only once it's whole.
  ScriptedClient& slow = rig.ask(0, "/a", {}, "GET", 150'000);
  ScriptedClient& other = rig.ask(1, "/a", {}, "GET", 0);
  const Asked asked = rig.wait_asked(0);
  asked.end->say(std::string(kChunked) + chunk(body));
  rig.until([&] { return slow.body.size() >= 150'000; });
  asked.end->say("0\r\n\r\n");
  rig.until([&] { return rig.store->memory().objects() == 1; });
  rig.until([&] { return many.held() == 0; });
  CHECK(rig.store->memory().used() < body.size() + 10'000);
  slow.take(SIZE_MAX / 2);
  other.take(SIZE_MAX / 2);
  rig.until_over(slow);
  rig.until_over(other);
  CHECK((slow.body == body));
  CHECK((other.body == body));
}
