// A node's proxy with two workers, a scripted upstream and scripted clients, without a server.
//
// Threads: the test's, which turns every loop; with `threads` each worker's loop has its own, and
// the test turns the upstream's only. Lifetime: clients go before the workers.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/net/connection.h"
#include "core/net/listener.h"
#include "core/net/loop_thread.h"
#include "edge/cache/disk_tier.h"
#include "edge/cache/tags.h"
#include "edge/proxy/coalescer.h"
#include "edge/proxy/exchange.h"
#include "edge/proxy/fill.h"
#include "edge/proxy/worker.h"
#include "tests/support/temp_dir.h"

namespace bw::edge {

using Fields = std::vector<std::pair<std::string, std::string>>;

// The upstream's end of one connection.
struct UpstreamEnd final : net::Connection::Events {
  std::unique_ptr<net::Connection> connection;
  std::function<void(UpstreamEnd&, std::string)> on_request;
  std::string got;
  size_t scanned = 0;
  bool gone = false;

  size_t on_data(std::string_view bytes) override {
    got += bytes;
    for (size_t at; (at = got.find("\r\n\r\n", scanned)) != std::string::npos;) {
      std::string head = got.substr(scanned, at + 4 - scanned);
      scanned = at + 4;
      on_request(*this, std::move(head));
    }
    return bytes.size();
  }
  void on_end() override { gone = true; }
  void on_error(Error) override { gone = true; }
  void say(std::string_view bytes) {
    if (!gone) connection->write_copy(bytes);
  }
  void end() { connection->finish_writing(); }
};

struct Asked {
  UpstreamEnd* end = nullptr;
  std::string head;
  bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

// One request of a client: the stream that an exchange answers into.
struct ScriptedClient final : http::ServerStream {
  explicit ScriptedClient(net::Loop& on) : on_loop(on) {
    info.peer = *net::Address::parse("192.0.2.1:40000");
    info.local = *net::Address::parse("192.0.2.2:80");
  }
  net::Loop& on_loop;
  http::RequestHead head;
  http::PeerInfo info;
  std::unique_ptr<http::StreamHandler> handler;
  std::optional<http::ResponseHead> response;
  std::string body;
  size_t window = SIZE_MAX;  // bytes it takes
  bool finished = false;
  std::optional<Error> aborted;
  bool left = false;
  std::atomic<bool> over{false};
  int misuses = 0;  // calls that the stream's contract forbids
  bool body_paused = false;
  int pieces = 0;

  const http::RequestHead& request() const override { return head; }
  const http::PeerInfo& peer() const override { return info; }
  net::Loop& loop() const override { return on_loop; }
  void send_informational(int, const http::FieldList&) override { check(); }
  void send_head(const http::ResponseHead& h) override {
    check();
    if (response) ++misuses;
    response = h;
  }
  void send_body(Slice piece) override {
    check();
    if (!response) ++misuses;
    body += piece.view();
    ++pieces;
  }
  void finish(const http::FieldList*) override {
    check();
    finished = true;
    on_loop.post([this] {
      if (!left && handler != nullptr) handler->on_sent();
      over = true;
    });
  }
  void abort(Error error) override {
    check();
    aborted = error;
    over = true;
  }
  void close_connection_after() override {}
  bool wants_more() const override { return !ended() && body.size() < window; }
  uint64_t bytes_sent() const override { return body.size(); }
  void pause_body() override { body_paused = true; }
  void resume_body() override { body_paused = false; }

  bool ended() const { return finished || aborted || left; }
  void check() {
    if (ended()) ++misuses;
  }
  // It goes away.
  void leave() {
    left = true;
    handler->on_abort({.kind = Error::Kind::closed, .side = Error::Side::client});
    over = true;
  }
  void take(size_t more) {
    window += more;
    handler->on_writable();
  }
  int status() const { return response ? response->status : 0; }
  std::string field(std::string_view name) const {
    return response ? response->fields.combined(name).value_or("") : "";
  }
};

struct Kept {
  int status = 0;
  uint64_t bytes_out = 0;
  Verdict verdict = Verdict::error;
  Reason reason = Reason::none;
};

class KeepingSink final : public AccessSink {
 public:
  void write(const AccessRecord& record) override {
    const std::lock_guard lock(mutex);
    kept.push_back({record.status, record.bytes_out, record.verdict, record.reason});
  }
  std::mutex mutex;
  std::vector<Kept> kept;
};

struct ProxyRig {
  struct Options {
    size_t memory = 16u << 20;
    bool disk = false;
    bool threads = false;
    uint32_t concurrency = 1024;
    bool log = false;      // a purge service, heard from now
    bool shields = false;  // the upstream is asked as a shield first, then as the origin
  };

  ManualClock clock;
  test::TempDir dir;
  PurgedSince purged{1 << 20};
  std::unique_ptr<DiskTier> disk;
  std::unique_ptr<Store> store;
  Coalescer coalescer;
  LimitTable limits{64 * 1024, 1};
  metrics::Registry registry;
  ProxyMetrics metrics{registry};
  KeepingSink sink;
  std::shared_ptr<SitePolicy> policy = std::make_shared<SitePolicy>();
  std::shared_ptr<Site> site = std::make_shared<Site>();
  std::unique_ptr<NodeParts> parts;
  net::Loop upstream{clock};
  std::vector<std::unique_ptr<UpstreamEnd>> ends;
  std::vector<Asked> asked;
  std::function<void(const Asked&)> when_asked;
  std::unique_ptr<net::Listener> listener;
  std::shared_ptr<Snapshot> snapshot = std::make_shared<Snapshot>();
  std::vector<std::unique_ptr<net::LoopThread>> threads;
  std::vector<std::unique_ptr<net::Loop>> loops;
  std::vector<std::unique_ptr<SeededRandom>> randoms;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::unique_ptr<Entrance>> entrances;
  std::vector<std::unique_ptr<ScriptedClient>> clients;

  ProxyRig() : ProxyRig(Options{}) {}
  explicit ProxyRig(Options options) {
    policy->site = 1;
    policy->name = "shop";
    if (options.disk) {
      std::string why;
      DiskOptions disk_options;
      disk_options.path = dir / "cache";
      disk_options.size = 64u << 20;
      auto opened = DiskTier::open(disk_options, clock, &why);
      INFO(why);
      REQUIRE(opened.ok());
      disk = std::move(*opened);
    }
    Store::Options store_options;
    store_options.memory_size = options.memory;
    store = std::make_unique<Store>(store_options, purged, disk.get());
    purged.add_site(1, "shop");
    if (options.log) {
      purged.start_at(make_position(1, 1));
      purged.set_echo(clock.mono());
    } else {
      purged.start_without_log();
    }
    parts = std::make_unique<NodeParts>(NodeParts{.name = "edge-1",
                                                  .tier_token = "secret",
                                                  .store = *store,
                                                  .coalescer = coalescer,
                                                  .limits = limits,
                                                  .metrics = metrics,
                                                  .keep_local = {}});
    listen();
    site->id = 1;
    site->name = "shop";
    site->hosts = {"*"};
    site->max_body_size = 1 << 20;
    site->route.policy = policy;
    site->route.upstream.retries = 0;
    snapshot->sites = std::make_shared<SiteTable>(std::vector<std::shared_ptr<const Site>>{site});
    snapshot->groups[{"shop", "default"}] = group("shop", options.concurrency);
    if (options.shields) snapshot->shields = group("", 1024);
    for (int i = 0; i < 2; ++i) {
      net::Loop* loop = nullptr;
      if (options.threads) {
        threads.push_back(std::make_unique<net::LoopThread>("worker", clock));
        loop = &threads.back()->loop();
      } else {
        loops.push_back(std::make_unique<net::Loop>(clock));
        loop = loops.back().get();
      }
      randoms.push_back(std::make_unique<SeededRandom>(static_cast<uint64_t>(i) + 1));
      workers.push_back(std::make_unique<Worker>(*loop, *parts, *randoms.back(), &sink, snapshot));
      entrances.push_back(std::make_unique<Entrance>(*workers.back(), Entrance::Facts{}));
    }
  }

  ~ProxyRig() {
    for (size_t i = 0; i < workers.size(); ++i) {
      on(i, [&] {
        for (const auto& client : clients) {
          if (&client->on_loop != &workers[i]->loop()) continue;
          if (!client->ended()) client->leave();
          client->handler.reset();
        }
      });
    }
    for (size_t i = 0; i < workers.size(); ++i) on(i, [&] { workers[i]->close(); });
    settle();
    // A turn later what was closed has told its worker.
    for (size_t i = 0; i < workers.size(); ++i) on(i, [] {});
    for (size_t i = 0; i < workers.size(); ++i) {
      on(i, [&] {
        entrances[i].reset();
        workers[i].reset();
      });
    }
    listener.reset();
    ends.clear();
    settle();
    if (disk != nullptr) disk.reset();
    settle();
    threads.clear();
    loops.clear();
    clients.clear();
    store.reset();
  }

  std::shared_ptr<Group> group(const std::string& of, uint32_t concurrency) {
    GroupSettings settings;
    settings.site = of;
    settings.retries = 0;
    settings.eject_after = 0;
    settings.concurrency = concurrency;
    MemberSettings member;
    member.target.address = address;
    member.origin_host = "origin.example";
    return Group::make(settings, {member});
  }

  net::Address address;
  void listen() {
    std::string why;
    auto socket = net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
    INFO(why);
    REQUIRE(socket.ok());
    address = socket->address;
    listener = std::make_unique<net::Listener>(
        upstream, socket->fd, [this](int fd, const net::Address& peer) {
          auto end = std::make_unique<UpstreamEnd>();
          end->on_request = [this](UpstreamEnd& from, std::string head) {
            asked.push_back({&from, std::move(head)});
            if (when_asked) when_asked(asked.back());
          };
          end->connection = net::Connection::accepted(upstream, fd, peer, nullptr);
          end->connection->set_events(end.get());
          ends.push_back(std::move(end));
        });
  }

  // Runs `task` where worker `i` runs.
  void on(size_t i, const std::function<void()>& task) {
    if (threads.empty()) {
      task();
    } else {
      threads[i]->run_and_wait(task);
    }
  }

  ScriptedClient& ask(size_t worker, const std::string& target, const Fields& fields = {},
                      const std::string& method = "GET", size_t window = SIZE_MAX) {
    clients.push_back(std::make_unique<ScriptedClient>(workers[worker]->loop()));
    ScriptedClient& client = *clients.back();
    client.head.method = method;
    client.head.scheme = "http";
    client.head.authority = "shop.example";
    client.head.target = target;
    client.head.has_body = method == "POST";
    client.window = window;
    for (const auto& [name, value] : fields) client.head.fields.add(name, value);
    on(worker, [&] { client.handler = entrances[worker]->on_request(client); });
    return client;
  }

  void turn() {
    upstream.turn(false);
    for (const auto& loop : loops) loop->turn(false);
  }
  void settle(int turns = 12) {
    for (int i = 0; i < turns; ++i) turn();
  }
  // Never waits for time: loopback and the disk's threads are quick.
  void until(const std::function<bool()>& done) {
    for (int i = 0; i < 2'000'000 && !done(); ++i) {
      turn();
      if (i > 1000) std::this_thread::yield();
    }
    REQUIRE(done());
  }
  void until_over(ScriptedClient& client) {
    until([&] { return client.over.load(); });
    CHECK(client.misuses == 0);
  }
  // The n-th request that came upstream.
  Asked wait_asked(size_t n) {
    until([&] { return asked.size() > n; });
    return asked[n];
  }
  static std::string response(const std::string& body, const std::string& fields = {},
                              const std::string& status = "200 OK") {
    return "HTTP/1.1 " + status + "\r\ncontent-length: " + std::to_string(body.size()) +
           "\r\ncache-control: max-age=60\r\n" + fields + "\r\n" + body;
  }
  void purge(PurgeKind kind, const Hash128& key, Position position,
             PurgeMode mode = PurgeMode::hard) {
    const Purge one{.site = 1,
                    .kind = kind,
                    .mode = mode,
                    .key = key,
                    .host = {},
                    .path = {},
                    .position = position};
    purged.apply(std::span(&one, 1), position);
  }
  void purge_tag(std::string_view tag, uint64_t sequence, PurgeMode mode = PurgeMode::hard) {
    purge(PurgeKind::tag, {0, tag_hash(tag)}, make_position(1, sequence), mode);
  }
};

inline std::string big_body(size_t size) {
  std::string body(size, '\0');
  for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + (i * 2654435761u >> 7) % 26);
  return body;
}

}  // namespace bw::edge
