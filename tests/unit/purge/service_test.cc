#include "purge/service.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/unit/purge/service_rig.h"

using namespace bw;
using namespace bw::purge;

namespace {

std::string many_tags(size_t count, size_t size = 1) {
  std::string body = "{\"tags\":[";
  for (size_t i = 0; i < count; ++i) {
    body += (i == 0 ? "\"" : ",\"") + std::to_string(i) + std::string(size, 'x') + "\"";
  }
  return body + "]}";
}

}  // namespace

TEST_CASE("purge: answered with its place in the log, told again by receipt and audit") {
  ServiceRig rig;
  const Asked purged = rig.purge(
      R"({"urls":["https://www.shop.example/p?a=1"],"tags":["t"],"mode":"soft","reason":"sale"})");
  REQUIRE(purged.status == 202);
  const text::Json body = purged.json();
  CHECK(body.get("durable").as_bool() == true);
  CHECK(body.get("mode").as_string() == "soft");
  CHECK(body.get("items").as_int() == 2);
  CHECK(body.get("seq").items()[0].as_string() == "1.2");
  CHECK(body.get("seq").items()[1].as_string() == "1.3");
  const std::string id(*body.get("id").as_string());
  const Asked receipt = rig.get("/v1/sites/shop/purges/" + id);
  CHECK(receipt.status == 200);
  CHECK(receipt.json().get("id").as_string() == id);
  CHECK(rig.get("/v1/sites/small/purges/" + id).status == 404);
  CHECK(rig.get("/v1/sites/shop/purges/none").status == 404);
  const text::Json audit = rig.get("/v1/sites/shop/purges?after=1.2").json();
  REQUIRE(audit.get("purges").size() == 1);
  const text::Json& one = audit.get("purges").items()[0];
  CHECK(one.get("text").as_string() == "t");
  CHECK(one.get("actor").as_string() == "ops");
  CHECK(one.get("reason").as_string() == "sale");
  CHECK(audit.get("next").is_null());
  CHECK(rig.get("/v1/sites/shop/purges?after=1").json().get("purges").size() == 2);
  CHECK(rig.get("/v1/sites/shop/purges?after=99").json().get("purges").size() == 0);
  CHECK(rig.get("/v1/sites/small/purges").json().get("purges").size() == 0);
}

TEST_CASE("purge: what is refused is a problem, and nothing of it is in the log") {
  ServiceRig rig;
  struct Row {
    const char* name;
    Question question;
    int status;
    const char* problem;
  };
  const std::string fine = R"({"tags":["t"]})";
  const std::string shop = "/v1/sites/shop/purge";
  const std::string beat = R"({"instance":"i","role":"edge"})";
  const Row rows[] = {
      {"no token", {.body = fine, .token = ""}, 401, "unauthorized"},
      {"a token nobody knows", {.body = fine, .token = "guess"}, 401, "unauthorized"},
      {"a token of another site", {.body = fine, .token = "small-only"}, 403, "site"},
      {"a token without the scope",
       {.body = R"({"urls":["http://www.shop.example/"]})", .token = "tags"},
       403,
       "scope"},
      {"everything with a token for tags",
       {.body = R"({"everything":true})", .token = "tags"},
       403,
       "scope"},
      {"one item of several without the scope",
       {.body = R"({"tags":["t"],"prefixes":["/a"]})", .token = "tags"},
       403,
       "scope"},
      {"a site nobody knows",
       {.target = "/v1/sites/none/purge", .body = fine},
       404,
       "unknown-site"},
      {"another method", {.method = "PUT", .target = shop, .body = fine}, 405, "method"},
      {"no JSON", {.body = "{"}, 400, "bad-request"},
      {"an unknown field", {.body = R"({"tag":["t"]})"}, 400, "bad-request"},
      {"nothing to purge", {.body = "{}"}, 400, "bad-request"},
      {"a member twice", {.body = R"({"tags":["a"],"tags":["b"]})"}, 400, "bad-request"},
      {"a good tag beside a bad one", {.body = R"({"tags":["a","b c"]})"}, 400, "bad-request"},
      {"a reason of two lines", {.body = R"({"tags":["a"],"reason":"a\nb"})"}, 400, "bad-request"},
      {"too many items", {.body = many_tags(501)}, 413, "too-many-items"},
      {"too large", {.body = many_tags(400, 200)}, 413, "too-large"},
      {"far too large", {.body = many_tags(400, 1000)}, 413, "too-large"},
      {"a URL of another site",
       {.body = R"({"tags":["t"],"urls":["http://evil.example/"]})"},
       422,
       "unprocessable"},
      {"a long key", {.body = fine, .key = std::string(257, 'k')}, 400, "idempotency-key"},
      {"no such resource", {.method = "GET", .target = "/v2"}, 404, "not-found"},
      {"the log for a purger", {.method = "GET", .target = "/v1/log"}, 403, "scope"},
      {"the head of the log",
       {.method = "PUT", .target = "/v1/log", .body = "x", .token = "node"},
       405,
       "method"},
      {"a place that is none",
       {.method = "GET", .target = "/v1/log?after=x", .token = "node"},
       400,
       "malformed"},
      {"a chain that is none",
       {.method = "GET", .target = "/v1/log?after=1.1&chain=zz", .token = "node"},
       400,
       "malformed"},
      {"an audit from nowhere",
       {.method = "GET", .target = "/v1/sites/shop/purges?after=x"},
       400,
       "malformed"},
      {"an audit by a purger of tags",
       {.method = "GET", .target = "/v1/sites/shop/purges", .token = "tags"},
       403,
       "scope"},
      {"a beat of a purger",
       {.method = "PUT", .target = "/v1/nodes/n", .body = beat},
       403,
       "scope"},
      {"a beat that is no JSON",
       {.method = "PUT", .target = "/v1/nodes/n", .body = "[", .token = "node"},
       400,
       "malformed"},
      {"a beat without a role",
       {.method = "PUT", .target = "/v1/nodes/n", .body = R"({"instance":"i"})", .token = "node"},
       400,
       "malformed"},
      {"a beat of a name that is none",
       {.method = "PUT", .target = "/v1/nodes/a%20b", .body = beat, .token = "node"},
       400,
       "malformed"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Asked answer = rig.ask(row.question);
    CHECK(answer.status == row.status);
    if (answer.status == row.status) CHECK(answer.problem() == row.problem);
  }
  CHECK(rig.running->log.size() == 1);  // the epoch's own
  CHECK(rig.running->nodes.nodes().empty());
}

TEST_CASE("purge: a key makes it once, whatever comes between; other items under it are refused") {
  ServiceRig rig;
  Question first;
  first.body = R"({"tags":["a","b"]})";
  first.key = "k1";
  const Asked made = rig.ask(first);
  REQUIRE(made.status == 202);
  const Asked again = rig.ask(first);
  CHECK(again.status == 202);
  CHECK(again.json() == made.json());
  CHECK(rig.running->log.size() == 3);

  Question other = first;
  other.body = R"({"tags":["a","c"]})";
  CHECK(rig.ask(other).problem() == "idempotency-mismatch");
  other = first;
  other.body = R"({"tags":["a","b"],"mode":"soft"})";
  CHECK(rig.ask(other).status == 409);
  CHECK(rig.running->log.size() == 3);

  other = first;
  other.token = "other";  // another's key is another key
  CHECK(rig.ask(other).json().get("id") != made.json().get("id"));
  CHECK(rig.running->log.size() == 5);

  rig.restart();
  const Asked after = rig.ask(first);
  CHECK(after.status == 202);
  CHECK(after.json().get("seq") == made.json().get("seq"));
  CHECK(rig.running->log.size() == 6);  // the new epoch's own
}

TEST_CASE("purge: neither answered nor streamed before it is synced; its key is in progress") {
  ServiceRig rig;
  TestNode node(rig, report_of("n1"));
  rig.until([&] { return node.follower->caught_up(); });
  rig.gate.hold(true);
  Question question;
  question.body = R"({"tags":["t"]})";
  question.key = "k";
  const auto waiting = rig.send(question);
  rig.until([&] { return rig.gate.count_waiting() > 0; });
  const Asked second = rig.ask(question);
  CHECK(second.status == 409);
  CHECK(second.problem() == "idempotency-in-progress");
  rig.settle();
  CHECK_FALSE(waiting->done);
  CHECK(node.records.empty());
  rig.gate.hold(false);
  rig.until([&] { return waiting->done && node.records.size() == 1; });
  CHECK(waiting->status == 202);
}

TEST_CASE("purge: a disk that fails is 503 with nothing applied; it goes on when the disk does") {
  ServiceRig rig;
  TestNode node(rig, report_of("n1"));
  rig.until([&] { return node.follower->caught_up(); });
  rig.gate.fail(true);
  Question question;
  question.body = R"({"tags":["lost"]})";
  question.key = "k";
  CHECK(rig.ask(question).status == 503);
  CHECK(rig.running->service->log_failed());
  rig.gate.fail(false);
  CHECK(rig.ask(question).status == 202);
  CHECK_FALSE(rig.running->service->log_failed());
  rig.until([&] { return !node.records.empty(); });
  CHECK(node.records[0].position == Position::of(1, 2));
  rig.restart();
  CHECK(rig.running->log.size() == 3);
}

TEST_CASE("purge: a site's rate is kept in items, and everything has its reserve") {
  ServiceRig rig;
  Question question;
  question.target = "/v1/sites/small/purge";
  question.body = R"({"tags":["a","b","c"]})";
  CHECK(rig.ask(question).status == 202);
  CHECK(rig.ask(question).status == 429);
  question.body = R"({"everything":true})";
  CHECK(rig.ask(question).status == 202);
  CHECK(rig.purge(R"({"tags":["a"]})").status == 202);  // the other site has its own
  rig.clock.advance(std::chrono::seconds(10));
  question.body = R"({"tags":["a","b","c"]})";
  CHECK(rig.ask(question).status == 202);
}

TEST_CASE("wait=all: met when every node has applied, each in the receipt") {
  ServiceRig rig;
  TestNode edge(rig, report_of("edge-a"));
  NodeReport shield_report = report_of("shield-a");
  shield_report.role = "shield";
  TestNode shield(rig, shield_report);
  rig.until([&] { return edge.follower->caught_up() && shield.follower->caught_up(); });
  rig.until([&] { return rig.running->nodes.nodes().size() == 2; });

  const Asked met = rig.purge(R"({"tags":["t"],"wait":"all"})");
  REQUIRE(met.status == 200);
  const text::Json body = met.json();
  REQUIRE(body.get("receipts").size() == 2);
  for (const text::Json& one : body.get("receipts").items()) {
    CHECK(one.get("state").as_string() == "applied");
    CHECK(one.get("applied_ms").as_int() == 0);
  }
  CHECK(body.get("laggards").size() == 0);

  edge.applies = false;
  const Asked by_shield = rig.purge(R"({"tags":["u"],"wait":"shield"})");
  CHECK(by_shield.status == 200);
  Question question;
  question.body = R"({"tags":["v"],"wait":"all","wait_timeout_ms":100})";
  const auto late = rig.send(question);
  rig.until_later([&] { return late->done; });
  CHECK(late->status == 202);
  REQUIRE(late->json().get("laggards").size() == 1);
  CHECK(late->json().get("laggards").items()[0].as_string() == "edge-a");

  // It must have fenced itself once lag_limit has passed at every tier.
  question.body = R"({"tags":["w"],"wait":"all","wait_timeout_ms":60000})";
  edge.follower.reset();
  const auto fenced = rig.send(question);
  rig.until_later([&] { return fenced->done; });
  CHECK(fenced->status == 200);
  CHECK(fenced->json().get("receipts").items()[0].get("state").as_string() == "fenced");
}

TEST_CASE("wait=all: a node that the service heard of before its own restart is waited for") {
  ServiceRig rig;
  {
    TestNode dead(rig, report_of("dead"));
    rig.until([&] { return rig.running->nodes.find("dead") != nullptr; });
    rig.until([&] { return std::filesystem::exists(registry_file(rig.settings.store.path)); });
  }
  rig.restart();
  TestNode live(rig, report_of("live"));
  rig.until([&] { return live.follower->caught_up(); });
  rig.until_later([&] {
    const Registry::Node* known = rig.running->nodes.find("live");
    return known != nullptr && known->beat.applied == live.have;
  });
  Question question;
  question.body = R"({"tags":["t"],"wait":"all","wait_timeout_ms":2000})";
  const auto asked = rig.send(question);
  rig.until_later([&] { return asked->done; });
  CHECK(asked->status == 202);
  REQUIRE(asked->json().get("laggards").size() == 1);
  CHECK(asked->json().get("laggards").items()[0].as_string() == "dead");

  // One that says goodbye isn't waited for.
  bool told = false;
  live.follower->leave([&] { told = true; });
  rig.until_later([&] { return told; });
  CHECK(rig.running->nodes.find("live") == nullptr);
  CHECK(rig.running->nodes.find("dead") != nullptr);
}

TEST_CASE("registry: a second live instance of a name is refused; one whose process died is not") {
  ServiceRig rig;
  auto first = std::make_unique<TestNode>(rig, report_of("n1", "first"));
  // Registered and told so: from here on it beats whenever the clock says so.
  rig.until([&] {
    const Registry::Node* known = rig.running->nodes.find("n1");
    return known != nullptr && known->beat.applied && known->beat.applied == first->have;
  });
  TestNode second(rig, report_of("n1", "second"));
  rig.until_later([&] { return second.name_taken; });
  CHECK_FALSE(first->name_taken);
  CHECK(rig.running->nodes.find("n1")->beat.instance == "first");
  second.follower.reset();

  first.reset();  // its connections end as by kill -9
  const MonoTime from = rig.clock.mono();
  TestNode third(rig, report_of("n1", "third"));
  rig.until_later(
      [&] { return rig.running->nodes.find("n1")->beat.instance == "third" || third.name_taken; });
  CHECK(rig.clock.mono() - from < std::chrono::seconds(1));
  CHECK_FALSE(third.name_taken);
}

TEST_CASE("registry: nodes are listed with where they stand") {
  ServiceRig rig;
  NodeReport report = report_of("n1");
  report.addresses = {"192.0.2.1:443"};
  report.load = 0.5;
  TestNode node(rig, report);
  rig.until([&] { return node.follower->caught_up(); });
  rig.until_later([&] {
    const text::Json nodes = rig.get("/v1/nodes", "node").json();
    return nodes.get("nodes").size() == 1 &&
           nodes.get("nodes").items()[0].get("applied").as_string() == "1.1";
  });
  const text::Json nodes = rig.get("/v1/nodes").json();
  const text::Json& one = nodes.get("nodes").items()[0];
  CHECK(one.get("name").as_string() == "n1");
  CHECK(one.get("pop").as_string() == "fra1");
  CHECK(one.get("state").as_string() == "ready");
  CHECK(one.get("ready").as_bool() == true);
  CHECK(one.get("addresses").items()[0].as_string() == "192.0.2.1:443");
  node.follower.reset();
  rig.clock.advance(std::chrono::seconds(45));
  rig.settle();
  const text::Json later = rig.get("/v1/nodes").json();
  CHECK(later.get("nodes").items()[0].get("state").as_string() == "quarantined");
  CHECK(later.get("nodes").items()[0].get("ready").as_bool() == false);
}

TEST_CASE("drain: who waits is answered, streams end whole, connections end") {
  ServiceRig rig;
  TestNode node(rig, report_of("n1"));
  node.applies = false;
  rig.until([&] { return node.follower->end().has_value(); });
  rig.until([&] { return rig.running->nodes.find("n1") != nullptr; });
  Question question;
  question.body = R"({"tags":["t"],"wait":"all","wait_timeout_ms":60000})";
  const auto waiting = rig.send(question);
  rig.until([&] { return !node.records.empty(); });
  rig.running->listener->pause();
  rig.running->server->drain();
  rig.running->service->drain();
  rig.until([&] { return waiting->done && rig.running->server->empty(); });
  CHECK(waiting->status == 202);
  CHECK_FALSE(node.follower->connected());
}

TEST_CASE("wait=all: no process follows the log under a name that waits don't count") {
  ServiceRig rig;
  const auto follow = [&](const std::string& who) {
    return rig.send(
        {.method = "GET", .target = "/v1/log?follow=1&" + who, .body = "", .token = "node"});
  };
  const auto beat = [&](const std::string& instance, const std::string& state) {
    return rig.ask(
        {.method = "PUT",
         .target = "/v1/nodes/n1",
         .body = R"({"role":"edge","instance":")" + instance + R"(","state":")" + state + R"("})",
         .token = "node"});
  };
  const auto refused = follow("node=n1&instance=a");
  rig.until([&] { return refused->done; });
  CHECK(refused->status == 409);
  CHECK(refused->problem() == "unregistered");
  // A reader without a name holds no cache.
  (void)follow("after=0.0");
  rig.until([&] { return rig.running->service->streams() == 1; });

  REQUIRE(beat("a", "ready").status == 200);
  const auto first = follow("node=n1&instance=a");
  rig.until([&] { return rig.running->service->streams() == 2; });
  const auto other = follow("node=n1&instance=b");
  rig.until([&] { return other->done; });
  CHECK(other->status == 409);
  // Its name goes to another process: the stream ends with the membership.
  rig.clock.advance(std::chrono::seconds(10));
  REQUIRE(beat("b", "ready").status == 200);
  rig.until([&] { return first->done; });
  const auto second = follow("node=n1&instance=b");
  rig.until([&] { return rig.running->service->streams() == 2; });
  REQUIRE(beat("b", "left").status == 200);
  rig.until([&] { return second->done; });
}
