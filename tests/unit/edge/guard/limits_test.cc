#include "edge/guard/limits.h"

#include <catch2/catch.hpp>
#include <deque>
#include <thread>

using namespace bw;
using namespace bw::edge;
using namespace std::chrono_literals;

namespace {

LimitRule rule_of(Rate rate, uint64_t burst) {
  LimitRule rule;
  rule.site = "shop";
  rule.name = "per-client";
  rule.key = {*LimitKeyPart::parse("client")};
  rule.rate = rate;
  rule.burst = burst;
  rule.prepare();
  return rule;
}

using Verdict = LimitDecision::Verdict;

}  // namespace

TEST_CASE("limits: a full bucket holds exactly its burst, and regains exactly its rate") {
  for (const Rate rate : {Rate{100, 1s}, Rate{3, 1s}, Rate{7, 60s}, Rate{1'000'000, 1s}}) {
    const LimitRule rule = rule_of(rate, 20);
    LimitTable table(1 << 20, 1);
    ManualClock clock;
    for (int i = 0; i < 20; ++i) {
      const LimitDecision d = table.decide(rule, 5, clock.mono());
      CHECK(d.verdict == Verdict::admitted);
      CHECK(d.remaining == static_cast<uint64_t>(19 - i));
    }
    CHECK(table.decide(rule, 5, clock.mono()).verdict == Verdict::refused);
    CHECK(table.decide(rule, 5, clock.mono()).remaining == 0);
    clock.advance(rate.per / rate.count + 1ns);
    CHECK(table.decide(rule, 5, clock.mono()).verdict == Verdict::admitted);
    CHECK(table.decide(rule, 5, clock.mono()).verdict == Verdict::refused);
  }
}

TEST_CASE(
    "[promise-11] limits: many clients, no window admits more than rate times time plus burst, "
    "and nobody within the limit is refused") {
  SeededRandom random(7);
  ManualClock clock;
  const LimitRule rule = rule_of({10, 1s}, 5);
  LimitTable table(4 << 20, random.next());
  constexpr size_t kClients = 300;
  std::vector<std::vector<int64_t>> admitted(kClients);
  // The model: tokens in units of 1/16 ns of refill, exact.
  std::vector<double> tokens(kClients, 5.0);
  std::vector<int64_t> last(kClients, clock.mono().ns);
  uint64_t wrong = 0;
  for (int i = 0; i < 200'000; ++i) {
    clock.advance(Duration(static_cast<int64_t>(random.below(1'000'000))));
    const size_t who = random.below(kClients);
    const int64_t now = clock.mono().ns;
    tokens[who] = std::min(5.0, tokens[who] + static_cast<double>(now - last[who]) * 10 / 1e9);
    last[who] = now;
    const bool in = table.decide(rule, who, clock.mono()).verdict == Verdict::admitted;
    // Within rounding of the model's own arithmetic both answers are right.
    if (in != (tokens[who] >= 1) && std::abs(tokens[who] - 1) > 1e-6) ++wrong;
    if (in) {
      tokens[who] -= 1;
      admitted[who].push_back(now);
    }
    // One-shot strangers pass through the table all the while.
    if (i % 4 == 0) {
      CHECK(table.decide(rule, 1'000'000 + random.next() % (1ull << 60), clock.mono()).verdict ==
            Verdict::admitted);
    }
  }
  CHECK(wrong == 0);
  CHECK(table.inexact_evictions() == 0);
  for (const auto& times : admitted) {
    for (size_t i = 0; i < times.size(); ++i) {
      for (size_t j = i; j < times.size() && j < i + 60; ++j) {
        const double window = static_cast<double>(times[j] - times[i]) / 1e9;
        if (static_cast<double>(j - i + 1) > 10 * window + 5 + 1e-6) ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("limits: evicting what is still in the future is counted") {
  const LimitRule rule = rule_of({1, 3600s}, 1);
  LimitTable table(64 << 10, 3);
  ManualClock clock;
  CHECK(table.bytes() == 64 << 10);
  for (uint64_t key = 0; key < 20'000; ++key) (void)table.decide(rule, key, clock.mono());
  CHECK(table.inexact_evictions() > 10'000);
  const uint64_t before = table.inexact_evictions();
  clock.advance(2h);
  for (uint64_t key = 50'000; key < 50'200; ++key) (void)table.decide(rule, key, clock.mono());
  CHECK(table.inexact_evictions() == before);
}

TEST_CASE("limits: bytes are charged at the end and leave at most one response of debt") {
  LimitRule rule = rule_of({1000, 1s}, 5000);
  rule.counts = LimitRule::Counts::bytes;
  rule.prepare();
  LimitTable table(1 << 20, 1);
  ManualClock clock;
  CHECK(table.decide(rule, 1, clock.mono(), 0).verdict == Verdict::admitted);
  table.charge(rule, 1, clock.mono(), 8000);
  LimitDecision d = table.decide(rule, 1, clock.mono(), 0);
  CHECK(d.verdict == Verdict::refused);
  CHECK(d.retry_after_s == 4);
  CHECK(d.reset_s == 8);
  clock.advance(3002ms);
  CHECK(table.decide(rule, 1, clock.mono(), 0).verdict == Verdict::admitted);
}

TEST_CASE("limits: shadow decides and never refuses") {
  LimitRule rule = rule_of({1, 1s}, 1);
  rule.shadow = true;
  LimitTable table(1 << 20, 1);
  ManualClock clock;
  CHECK(table.decide(rule, 1, clock.mono()).verdict == Verdict::admitted);
  const LimitDecision d = table.decide(rule, 1, clock.mono());
  CHECK(d.verdict == Verdict::would_refuse);
  http::FieldList fields;
  add_limit_fields(fields, rule, d);
  CHECK(fields.empty());
}

TEST_CASE("limits: the fields a client sees") {
  const LimitRule rule = rule_of({100, 1s}, 250);
  LimitTable table(1 << 20, 1);
  ManualClock clock;
  http::FieldList fields;
  add_limit_fields(fields, rule, table.decide(rule, 1, clock.mono()));
  CHECK(fields.find("ratelimit-policy") == "\"per-client\";q=250;w=3");
  CHECK(fields.find("ratelimit") == "\"per-client\";r=249;t=1");
  CHECK_FALSE(fields.find("retry-after"));
  for (int i = 0; i < 249; ++i) (void)table.decide(rule, 1, clock.mono());
  fields.clear();
  add_limit_fields(fields, rule, table.decide(rule, 1, clock.mono()));
  CHECK(fields.find("ratelimit") == "\"per-client\";r=0;t=3");
  CHECK(fields.find("retry-after") == "1");
}

TEST_CASE("limits: who shares a bucket") {
  const auto ip = [](const char* text) { return *net::Ip::parse(text); };
  http::RequestHead request;
  request.target = "/a/b?q";
  request.fields.add("x-key", "one");
  request.fields.add("cookie", "a=1; session=xyz; b=2");
  LimitRule rule = rule_of({1, 1s}, 1);
  const auto key = [&](const ClientFacts& client) { return limit_key(rule, request, client); };
  CHECK(key({ip("192.0.2.1")}) != key({ip("192.0.2.2")}));
  CHECK(key({ip("2001:db8::1")}) == key({ip("2001:db8::2")}));
  CHECK(key({ip("2001:db8::1")}) != key({ip("2001:db8:0:1::1")}));
  rule.key = {*LimitKeyPart::parse("header:X-Key"), *LimitKeyPart::parse("cookie:session")};
  const auto both = key({ip("192.0.2.1")});
  CHECK(both);
  CHECK(both == key({ip("192.0.2.2")}));
  request.fields.set("cookie", "xsession=xyz");
  CHECK_FALSE(key({ip("192.0.2.1")}));
  rule.key = {*LimitKeyPart::parse("country")};
  CHECK_FALSE(key({ip("192.0.2.1")}));
  CHECK(key({ip("192.0.2.1"), "DE", 0}));
  rule.paths = {"/c/*"};
  CHECK_FALSE(key({ip("192.0.2.1"), "DE", 0}));
  rule.paths = {"/a/*"};
  CHECK(rule.allow.add("country:DE").ok());
  CHECK_FALSE(key({ip("192.0.2.1"), "DE", 0}));
  CHECK_FALSE(LimitKeyPart::parse("header:"));
  CHECK_FALSE(LimitKeyPart::parse("ip"));
}

TEST_CASE("limits: workers share a bucket and admit its burst together") {
  const LimitRule rule = rule_of({1, 3600s}, 1000);
  LimitTable table(1 << 20, 9);
  std::atomic<uint64_t> admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        if (table.decide(rule, 1, {1'000'000'000}).verdict == Verdict::admitted) ++admitted;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(admitted == 1000);
}
