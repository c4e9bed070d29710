#include "origin/outbox.h"

#include <catch2/catch.hpp>

#include "core/http/endpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/core/http/server_rig.h"

using namespace bw;
using namespace bw::origin;

namespace {

// A purge service whose answers the test writes, and an outbox towards it, on one loop.
struct OutboxRig {
  test::TempDir dir;
  SeededRandom random{1};
  http::ServerRig rig;
  metrics::Registry registry;
  OriginMetrics metrics{registry};
  std::vector<http::EndpointRequest> requests;
  std::vector<int> answers;  // in turn; then 202
  http::EndpointService service{[this](http::EndpointRequest request, http::Reply reply) {
                                  const size_t n = requests.size();
                                  requests.push_back(std::move(request));
                                  reply.send(http::EndpointResponse::json(
                                      n < answers.size() ? answers[n] : 202, "{\"id\":\"r\"}"));
                                },
                                64 * 1024};
  http::Server server{rig.loop, service, {}};
  std::unique_ptr<ProductStore> store;
  std::unique_ptr<Executor> executor = std::make_unique<Executor>("test", 2, 1000);
  std::unique_ptr<Outbox> outbox;

  OutboxRig() {
    std::string why;
    auto opened = ProductStore::open(dir / "store", true, random, &why);
    INFO(why);
    REQUIRE(opened.ok());
    store = std::move(*opened);
    auto socket = net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
    rig.listener = std::make_unique<net::Listener>(
        rig.loop, socket->fd,
        [this](int fd, const net::Address& peer) { server.accept(fd, peer); });
    auto link = purge::ServiceLink::make(
        {.url = "http://" + socket->address.text(), .token_file = {}, .ca_file = {}}, &why);
    INFO(why);
    REQUIRE(link.ok());
    outbox = std::make_unique<Outbox>(rig.loop, *executor, *store, *link, "shop", metrics);
  }
  ~OutboxRig() {
    executor.reset();
    outbox.reset();
    rig.settle();  // what the executor sent back finds nobody
  }
  void owe(const std::string& tag) {
    REQUIRE(store
                ->change("p", WallTime{1},
                         [&](const auto&) {
                           return ProductStore::Change{.kind = ProductStore::Change::Kind::put,
                                                       .text = "{}",
                                                       .tags = {tag}};
                         })
                .ok());
  }
  double count(std::string_view result) {
    return static_cast<double>(metrics.purges.with({result}).value());
  }
};

}  // namespace

TEST_CASE("outbox: what is owed leaves in order, together, under a key of its own") {
  OutboxRig t;
  t.owe("a");
  t.owe("b");
  t.owe("a");
  t.outbox->poke();
  t.rig.until([&] { return t.store->outbox_size() == 0; });
  REQUIRE(t.requests.size() == 1);
  CHECK(t.requests[0].head.method == "POST");
  CHECK(t.requests[0].head.target == "/v1/sites/shop/purge");
  CHECK(t.requests[0].body == R"({"tags":["a","b"],"reason":"origin write"})");
  const std::string key(*t.requests[0].head.fields.find("idempotency-key"));
  CHECK(key.find(t.store->instance() + "-1-3") != std::string::npos);
  CHECK(t.count("durable") == 1);
  t.rig.until([&] { return !t.outbox->last_receipt().empty(); });
  t.owe("c");
  t.outbox->poke();
  t.rig.until([&] { return t.store->outbox_size() == 0; });
  CHECK(t.requests.size() == 2);
}

TEST_CASE("outbox: a service that can't now is asked again, with the same key") {
  OutboxRig t;
  t.answers = {503, 401};
  t.owe("a");
  t.outbox->poke();
  t.rig.until([&] { return t.count("retried") == 1; });
  CHECK(t.store->outbox_size() == 1);
  t.rig.clock.advance(std::chrono::milliseconds(200));
  t.rig.until([&] { return t.count("retried") == 2; });
  t.rig.clock.advance(std::chrono::seconds(1));
  t.rig.until([&] { return t.store->outbox_size() == 0; });
  REQUIRE(t.requests.size() == 3);
  CHECK(t.requests[0].head.fields.find("idempotency-key") ==
        t.requests[2].head.fields.find("idempotency-key"));
}

TEST_CASE("outbox: what the service will never take doesn't hold up the rest") {
  OutboxRig t;
  t.answers = {422};
  t.owe("a");
  t.outbox->poke();
  t.rig.until([&] { return t.store->outbox_size() == 0; });
  CHECK(t.count("refused") == 1);
  t.owe("b");
  t.outbox->poke();
  t.rig.until([&] { return t.count("durable") == 1; });
}
