// The purge service behind a real socket, with what a test needs around it: a log file that can be
// held up or fail, clients, and nodes that follow. It can be ended as by kill -9 and started again.
//
// Threads: the test's; the clock stands still unless the test moves it.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/http/server.h"
#include "core/net/listener.h"
#include "core/text/json.h"
#include "purge/client/call.h"
#include "purge/client/follower.h"
#include "purge/service.h"
#include "purge/state.h"
#include "tests/support/temp_dir.h"

namespace bw::purge {

// What the disk does; shared with the writer's thread.
struct DiskGate {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  bool fails = false;
  int syncs = 0;
  int waiting = 0;

  void hold(bool value) {
    std::lock_guard lock(mutex);
    held = value;
    changed.notify_all();
  }
  void fail(bool value) {
    std::lock_guard lock(mutex);
    fails = value;
  }
  int count_waiting() {
    std::lock_guard lock(mutex);
    return waiting;
  }
  int count_syncs() {
    std::lock_guard lock(mutex);
    return syncs;
  }
  Status pass() {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.wait(lock, [this] { return !held; });
    --waiting;
    ++syncs;
    if (fails) return errno_error(28, "the test's disk", Error::Side::storage);
    return {};
  }
};

class GatedFile final : public LogFile {
 public:
  GatedFile(std::unique_ptr<LogFile> file, DiskGate& gate) : file_(std::move(file)), gate_(gate) {}
  Result<std::string> read_all() override { return file_->read_all(); }
  Status write(uint64_t offset, std::string_view bytes) override {
    return file_->write(offset, bytes);
  }
  Status sync() override {
    if (Status passed = gate_.pass(); !passed.ok()) return passed;
    return file_->sync();
  }
  Status truncate(uint64_t size) override { return file_->truncate(size); }

 private:
  std::unique_ptr<LogFile> file_;
  DiskGate& gate_;
};

struct Asked {
  int status = 0;
  std::string body;
  bool done = false;
  text::Json json() const {
    auto parsed = text::Json::parse(body);
    REQUIRE(parsed.ok());
    return *parsed;
  }
  std::string problem() const {
    constexpr std::string_view kBase = "https://breakwater.invalid/problems/";
    const std::string type(json().get("type").as_string().value_or(""));
    return type.starts_with(kBase) ? type.substr(kBase.size()) : type;
  }
};

struct Question {
  std::string method = "POST";
  std::string target = "/v1/sites/shop/purge";
  std::string body;
  std::string token = "ops";
  std::string key;
};

class ServiceRig;

// A node: applies at once, unless told not to.
class TestNode final : public FollowerEvents {
 public:
  std::vector<Record> records;
  std::vector<LogPoint> resets;
  bool applies = true;
  bool name_taken = false;
  std::optional<LogPoint> have;
  std::unique_ptr<LogFollower> follower;

  TestNode(ServiceRig& rig, NodeReport report, std::optional<LogPoint> applied = std::nullopt);
  void on_records(std::span<const Record> some) override {
    records.insert(records.end(), some.begin(), some.end());
    take({some.back().position, some.back().chain});
  }
  void on_reset(const LogPoint& point) override {
    resets.push_back(point);
    take(point);
  }
  void on_name_taken() override { name_taken = true; }
  void apply() { follower->set_applied(*have); }
  // The texts of the purges that came.
  std::vector<std::string> texts() const {
    std::vector<std::string> out;
    for (const Record& record : records) {
      if (record.kind != Kind::epoch) out.push_back(record.text);
    }
    return out;
  }

 private:
  void take(const LogPoint& point) {
    have = point;
    if (applies) apply();
  }
};

inline NodeReport report_of(const std::string& name, const std::string& instance = "i1") {
  NodeReport report;
  report.name = name;
  report.instance = instance;
  report.pop = "fra1";
  report.sites = {{"shop", "revalidate"}};
  return report;
}

class ServiceRig {
 public:
  test::TempDir dir;
  ManualClock clock;
  net::Loop loop{clock};
  SeededRandom random{7};
  DiskGate gate;
  PurgedSettings settings;
  net::Address address;

  struct Running {
    metrics::Registry metrics;
    ServiceMetrics counters{metrics};
    Executor executor{"test", 1, 1000};
    LogView log;
    Registry nodes;
    std::unique_ptr<LogWriter> writer;
    std::unique_ptr<Service> service;
    std::unique_ptr<http::EndpointService> api;
    std::unique_ptr<http::Server> server;
    std::unique_ptr<net::Listener> listener;
    explicit Running(const RegistrySettings& s)
        : nodes({s.heartbeat, s.quarantine_after, s.forget_after}) {}
  };
  std::unique_ptr<Running> running;
  std::unique_ptr<http::ClientPool> pool;

  ServiceRig() {
    settings.store.path = dir / "log";
    SiteSettings shop;
    shop.name = "shop";
    shop.hosts = {"www.shop.example"};
    settings.sites.push_back(shop);
    SiteSettings small = shop;
    small.name = "small";
    small.hosts = {"small.example"};
    small.rate = {1, std::chrono::seconds(1)};
    small.burst = 5;
    small.reserve = 2;
    settings.sites.push_back(small);
    pool = std::make_unique<http::ClientPool>(loop, http::ClientLimits{});
    start();
  }
  ~ServiceRig() {
    gate.hold(false);
    kill();
    pool.reset();
    for (int i = 0; i < 5; ++i) loop.turn(false);
  }

  static std::vector<Token> tokens() {
    const auto token = [](const char* name, std::vector<std::string> sites, int scopes) {
      return Token{name, sha256(name), std::move(sites), static_cast<uint8_t>(scopes)};
    };
    const int purges = scope_url | scope_tag | scope_prefix | scope_all;
    return {token("ops", {"*"}, purges | scope_read), token("other", {"*"}, purges),
            token("node", {"*"}, scope_node | scope_read), token("tags", {"*"}, scope_tag),
            token("small-only", {"small"}, purges | scope_read)};
  }

  void start() {
    running = std::make_unique<Running>(settings.registry);
    Running& r = *running;
    std::string why;
    auto file = open_log_folder(settings.store.path, &why);
    INFO(why);
    REQUIRE(file.ok());
    auto store = open_state(std::make_unique<GatedFile>(std::move(*file), gate),
                            settings.store.path, clock, random, r.log, r.nodes, &why);
    INFO(why);
    REQUIRE(store.ok());
    r.writer = std::make_unique<LogWriter>(loop, std::move(*store));
    REQUIRE(begin_epoch(*r.writer, settings.store.path, clock, r.log, &why).ok());
    r.service = std::make_unique<Service>(
        Service::Parts{loop, random, r.executor, *r.writer, r.log, r.nodes, r.counters,
                       registry_file(settings.store.path)},
        settings, tokens());
    r.api = std::make_unique<http::EndpointService>(
        [service = r.service.get()](http::EndpointRequest request, http::Reply reply) {
          service->on_request(std::move(request), std::move(reply));
        },
        256 * 1024);
    r.server = std::make_unique<http::Server>(loop, *r.api, http::ServerOptions{});
    const auto wanted = address.port() == 0 ? *net::Address::parse("127.0.0.1:0") : address;
    const auto socket = net::open_listen_socket(wanted, false, &why);
    INFO(why);
    REQUIRE(socket.ok());
    address = socket->address;
    r.listener = std::make_unique<net::Listener>(
        loop, socket->fd,
        [server = r.server.get()](int fd, const net::Address& peer) { server->accept(fd, peer); });
  }
  // Nobody is told anything.
  void kill() {
    if (running == nullptr) return;
    running->listener.reset();
    running->server->close_all();
    loop.turn(false);
    running->server.reset();
    running->service.reset();
    running->writer.reset();
    running.reset();
    for (int i = 0; i < 5; ++i) loop.turn(false);
  }
  void restart() {
    kill();
    start();
  }

  std::shared_ptr<ServiceLink> link() {
    const std::string token = dir / "node.token";
    std::ofstream(token) << "node\n";
    std::string why;
    auto made = ServiceLink::make({.url = "http://" + address.text(), .token_file = token}, &why);
    INFO(why);
    REQUIRE(made.ok());
    return *made;
  }
  // Asks, and doesn't wait.
  std::shared_ptr<Asked> send(const Question& question) {
    std::string why;
    auto made = ServiceLink::make({.url = "http://" + address.text()}, &why);
    REQUIRE(made.ok());
    http::RequestHead head = (*made)->head(question.method, question.target);
    if (!question.token.empty()) {
      head.fields.add(http::FieldId::authorization, "Bearer " + question.token);
    }
    if (!question.key.empty()) head.fields.add("idempotency-key", question.key);
    auto asked = std::make_shared<Asked>();
    auto call = std::make_shared<std::unique_ptr<Call>>();
    *call = std::make_unique<Call>(loop, *pool, 8 << 20,
                                   [this, asked, call](Result<Call::Answer> answer) {
                                     asked->done = true;
                                     asked->status = answer.ok() ? answer->status : -1;
                                     asked->body = answer.ok() ? answer->body : "";
                                     loop.retire(std::move(*call));
                                   });
    (*call)->start(*made, nullptr, std::move(head), question.body, std::chrono::hours(1));
    return asked;
  }
  Asked ask(const Question& question) {
    const auto asked = send(question);
    until([&] { return asked->done; });
    return *asked;
  }
  Asked purge(const std::string& body) {
    Question question;
    question.body = body;
    return ask(question);
  }
  Asked get(const std::string& target, const std::string& token = "ops") {
    return ask({.method = "GET", .target = target, .body = "", .token = token, .key = ""});
  }

  void until(const std::function<bool()>& done) {
    // The test's time stands still; this is how long a busy machine may take.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done() && std::chrono::steady_clock::now() < end) loop.turn(false);
    REQUIRE(done());
  }
  // The same with the clock moving in small steps.
  void until_later(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done() && std::chrono::steady_clock::now() < end) {
      clock.advance(std::chrono::milliseconds(10));
      settle(20);
    }
    REQUIRE(done());
  }
  void settle(int turns = 50) {
    for (int i = 0; i < turns; ++i) loop.turn(false);
  }
};

inline TestNode::TestNode(ServiceRig& rig, NodeReport report, std::optional<LogPoint> applied)
    : have(applied) {
  LogFollower::Options options;
  options.link = rig.link();
  options.report = std::move(report);
  options.applied = applied;
  follower =
      std::make_unique<LogFollower>(rig.loop, rig.random, nullptr, std::move(options), *this);
  follower->start();
}

}  // namespace bw::purge
