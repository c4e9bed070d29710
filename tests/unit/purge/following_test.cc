// The log's stream from end to end: service and follower over a real socket.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "core/net/connection.h"
#include "tests/unit/core/net/stream_pair.h"
#include "tests/unit/purge/service_rig.h"

using namespace bw;
using namespace bw::purge;

namespace {
using Texts = std::vector<std::string>;
}

TEST_CASE("following: purges come in order; the node goes on when the service is killed") {
  ServiceRig rig;
  TestNode node(rig, report_of("n1"));
  rig.until([&] { return node.follower->caught_up(); });
  REQUIRE(node.resets.size() == 1);  // it began without a table
  CHECK(rig.purge(R"({"tags":["a","b"]})").status == 202);
  rig.until([&] { return node.texts() == Texts{"a", "b"}; });
  rig.kill();
  rig.until_later([&] { return !node.follower->connected(); });
  rig.start();
  CHECK(rig.purge(R"({"tags":["c"]})").status == 202);
  rig.until_later([&] { return node.texts().size() == 3 && node.follower->caught_up(); });
  CHECK(node.texts() == Texts{"a", "b", "c"});
  CHECK(node.resets.size() == 1);
  CHECK(node.follower->applied()->position == rig.running->log.end().position);
}

TEST_CASE("following: a node that was away gets what it missed before it is caught up") {
  ServiceRig rig;
  std::optional<LogPoint> kept;
  {
    TestNode node(rig, report_of("n1", "first"));
    rig.until([&] { return node.follower->caught_up(); });
    kept = node.have;
  }
  CHECK(rig.purge(R"({"tags":["missed"]})").status == 202);
  TestNode again(rig, report_of("n1", "second"), kept);
  again.applies = false;
  rig.until_later([&] { return again.follower->end().has_value() && !again.records.empty(); });
  CHECK(again.texts() == Texts{"missed"});
  CHECK(again.resets.empty());
  CHECK_FALSE(again.follower->caught_up());
  again.apply();
  CHECK(again.follower->caught_up());
}

TEST_CASE("following: lag falls only when what the digest told is applied") {
  ServiceRig rig;
  TestNode node(rig, report_of("n1"));
  rig.until_later([&] { return node.follower->lag().has_value(); });
  CHECK(*node.follower->lag() < std::chrono::seconds(2));
  node.applies = false;
  CHECK(rig.purge(R"({"tags":["t"]})").status == 202);
  rig.until([&] { return !node.records.empty(); });
  const MonoTime from = rig.clock.mono();
  rig.until_later([&] { return rig.clock.mono() - from > std::chrono::seconds(6); });
  CHECK(*node.follower->lag() > std::chrono::seconds(5));
  node.apply();
  rig.until_later([&] { return *node.follower->lag() < std::chrono::seconds(2); });
}

TEST_CASE("following: a service with another log resets the node at a higher epoch") {
  ServiceRig rig;
  TestNode node(rig, report_of("n1"));
  rig.until([&] { return node.follower->caught_up(); });
  for (int i = 0; i < 5; ++i) CHECK(rig.purge(R"({"tags":["old"]})").status == 202);
  rig.until([&] { return node.records.size() == 5; });
  rig.kill();
  std::filesystem::remove(rig.settings.store.path + "/records.log");
  rig.clock.advance(std::chrono::seconds(1));
  rig.start();
  CHECK(rig.purge(R"({"tags":["new"]})").status == 202);
  rig.until_later([&] { return node.resets.size() == 2; });
  CHECK(node.resets[1].position.epoch() == 2);
  rig.until_later([&] { return node.follower->caught_up(); });
  CHECK(rig.purge(R"({"tags":["next"]})").status == 202);
  rig.until_later([&] { return node.texts().back() == "next"; });
}

TEST_CASE("following: a long catch-up comes whole") {
  ServiceRig rig;
  rig.settings.sites[0].rate = {};
  rig.restart();
  const LogPoint start = rig.running->log.end();
  std::string body = "{\"tags\":[";
  for (int i = 0; i < 500; ++i) body += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) + "\"";
  body += "]}";
  for (int i = 0; i < 20; ++i) REQUIRE(rig.purge(body).status == 202);
  TestNode node(rig, report_of("n1"), start);
  rig.until_later([&] { return node.follower->caught_up(); });
  CHECK(node.records.size() == 10'000);
  CHECK(node.resets.empty());
}

TEST_CASE("following: a node that doesn't read holds a bounded part of the log, and no one else") {
  ServiceRig rig;
  rig.settings.sites[0].rate = {};
  rig.restart();
  net::End stuck;
  stuck.take(net::Connection::connect(rig.loop, rig.address, nullptr, {}));
  stuck.connection->write_copy(
      "GET /v1/log?follow=1&after=0.0 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer node\r\n\r\n");
  rig.until([&] { return rig.running->service->streams() == 1; });
  stuck.connection->pause_reading();
  TestNode node(rig, report_of("n1"));
  rig.until([&] { return node.follower->caught_up(); });
  std::string body = "{\"tags\":[";
  for (int i = 0; i < 60; ++i) {
    body += (i == 0 ? "\"" : ",\"") + std::to_string(i) + std::string(1000, 'x') + "\"";
  }
  body += "]}";
  size_t most = 0;
  for (int i = 0; i < 300; ++i) {
    REQUIRE(rig.purge(body).status == 202);
    most = std::max(most, rig.running->service->waiting_bytes());
  }
  rig.until_later([&] { return node.texts().size() == 18'000; });
  CHECK(most < 2 * FanOut::kWaiting);
  stuck.connection.reset();
}

TEST_CASE("following: what nodes offer can't take the epochs that starts of the service need") {
  ServiceRig rig;
  const std::string chain(32, 'a');
  const auto offers = [&](uint32_t epoch) {
    return rig.get("/v1/log?after=" + std::to_string(epoch) + ".1&chain=" + chain, "node");
  };
  for (const uint32_t epoch : {65535u, 65534u, 61440u}) {
    const Asked answer = offers(epoch);
    CHECK(answer.status == 409);
    CHECK(answer.problem() == "epoch");
  }
  CHECK(rig.running->log.size() == 1);
  (void)rig.send({.method = "GET",
                  .target = "/v1/log?follow=1&after=61439.1&chain=" + chain,
                  .body = "",
                  .token = "node"});
  rig.until([&] { return rig.running->log.end().position.epoch() == 61440; });
  rig.restart();
  CHECK(rig.running->log.end().position.epoch() == 61441);
}

TEST_CASE("following: digests for a node that beats and doesn't read are bounded too") {
  ServiceRig rig;
  rig.settings.sites[0].rate = {};
  rig.restart();
  const Question beat{.method = "PUT",
                      .target = "/v1/nodes/n1",
                      .body = R"({"role":"edge","instance":"a","nonce":1})",
                      .token = "node"};
  REQUIRE(rig.ask(beat).status == 200);
  net::End stuck;
  stuck.take(net::Connection::connect(rig.loop, rig.address, nullptr, {}));
  stuck.connection->write_copy(
      "GET /v1/log?follow=1&node=n1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer node\r\n\r\n");
  rig.until([&] { return rig.running->service->streams() == 1; });
  stuck.connection->pause_reading();
  // The kernel's own buffers are filled with records; what comes then waits in the service.
  std::string body = "{\"tags\":[";
  for (int i = 0; i < 60; ++i) {
    body += (i == 0 ? "\"" : ",\"") + std::to_string(i) + std::string(1000, 'x') + "\"";
  }
  body += "]}";
  const auto waiting = [&] { return rig.running->service->waiting_bytes(); };
  for (int i = 0; i < 500 && waiting() == 0; ++i) REQUIRE(rig.purge(body).status == 202);
  REQUIRE(waiting() > 0);
  REQUIRE(waiting() < FanOut::kWaiting);
  const size_t before = waiting();
  for (int i = 0; i < 4'000; ++i) REQUIRE(rig.ask(beat).status == 200);
  CHECK(waiting() > before);
  CHECK(waiting() < FanOut::kWaiting + 1000);
  stuck.connection.reset();
}
