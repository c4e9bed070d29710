#include "origin/program.h"

#include <csignal>
#include <cstdio>
#include <optional>

#include "core/base/executor.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/http/server.h"
#include "core/net/listener.h"
#include "core/net/loop.h"
#include "core/net/privileges.h"
#include "core/net/signals.h"
#include "core/text/json.h"
#include "origin/admin.h"
#include "origin/api.h"
#include "origin/outbox.h"
#include "origin/settings.h"

namespace bw::origin {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kMostTasks = 10'000;
constexpr uint64_t kMostUpload = 1ull << 40;
constexpr Duration kDrain = std::chrono::seconds(10);
constexpr size_t kMostAdminBody = 4 * 1024;

int fail(const std::string& why) {
  std::fprintf(stderr, "origin: %s\n", why.c_str());
  return 1;
}

// Everything of a running origin, in the order it is made.
class Program {
 public:
  explicit Program(const OriginSettings& settings)
      : settings_(settings.origin), loop_(clock_), metrics_(registry_) {}

  // 0, or the exit code.
  int start();
  int run();

 private:
  int open_store();
  int listen(const std::string& address, const char* kind, http::Server& server);
  void stop();
  std::string status() const;

  const ApiSettings& settings_;
  SystemClock clock_;
  SystemRandom random_;
  net::Loop loop_;
  metrics::Registry registry_;
  OriginMetrics metrics_;
  std::unique_ptr<ProductStore> store_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<http::EndpointService> admin_;
  // Joins before what its tasks use goes.
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> admin_server_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::optional<net::Timer> drain_;
  std::unique_ptr<net::Signals> signals_;
  std::vector<std::string> ready_;
  MonoTime started_;
};

int Program::open_store() {
  std::string why;
  const bool publishes = !settings_.control.empty();
  Result<std::unique_ptr<ProductStore>> store =
      ProductStore::open(settings_.store, publishes, random_, &why);
  if (!store) return fail(why);
  store_ = std::move(*store);
  if (!settings_.data.empty()) {
    const Result<uint64_t> added = store_->load(settings_.data, clock_.wall(), &why);
    if (!added) return fail(why);
    log::info(std::to_string(*added) + " products read from " + settings_.data);
  } else if (store_->empty()) {
    const Status made = store_->generate(settings_.products, clock_.wall());
    if (!made) return fail(settings_.store + ": " + describe(made.error()));
    log::info(std::to_string(settings_.products) + " products generated");
  }
  return 0;
}

int Program::listen(const std::string& text, const char* kind, http::Server& server) {
  const Result<net::Address> address = net::Address::parse(text);
  if (!address) return fail("cannot listen on " + text + ": no address");
  std::string why;
  const Result<net::ListenSocket> socket = net::open_listen_socket(*address, false, &why);
  if (!socket) return fail(why);
  listeners_.push_back(std::make_unique<net::Listener>(
      loop_, socket->fd, [&server](int fd, const net::Address& peer) { server.accept(fd, peer); }));
  ready_.push_back("listening on " + socket->address.text() + " (" + kind + ")");
  return 0;
}

int Program::start() {
  started_ = clock_.mono();
  net::raise_descriptor_limit();
  if (const int code = open_store(); code != 0) return code;
  executor_ = std::make_unique<Executor>("origin", kThreads, kMostTasks);
  if (!settings_.control.empty()) {
    std::string why;
    auto link = purge::ServiceLink::make(
        {.url = settings_.control, .token_file = settings_.token_file, .ca_file = settings_.ca},
        &why);
    if (!link) return fail(why);
    outbox_ = std::make_unique<Outbox>(loop_, *executor_, *store_, *link, settings_.site, metrics_);
  }
  ApiOptions options;
  options.static_files = settings_.static_files;
  options.delay = settings_.delay;
  options.written = [this] {
    if (outbox_ != nullptr) outbox_->poke();
  };
  api_ = std::make_unique<Api>(loop_, *executor_, *store_, metrics_, std::move(options));
  http::ServerOptions server;
  server.limits.max_body_size = kMostUpload;
  server_ = std::make_unique<http::Server>(loop_, *api_, server);
  admin_ = std::make_unique<http::EndpointService>(
      make_admin(registry_, [this] { return status(); }), kMostAdminBody);
  admin_server_ = std::make_unique<http::Server>(loop_, *admin_, http::ServerOptions{});
  for (const std::string& address : settings_.listen) {
    if (const int code = listen(address, "http", *server_); code != 0) return code;
  }
  if (!settings_.admin.empty()) {
    if (const int code = listen(settings_.admin, "admin", *admin_server_); code != 0) return code;
  }
  signals_ = std::make_unique<net::Signals>(loop_, std::initializer_list<int>{SIGTERM, SIGINT},
                                            [this](int) { stop(); });
  return 0;
}

int Program::run() {
  if (outbox_ != nullptr) outbox_->poke();
  for (const std::string& line : ready_) std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  (void)net::sd_notify("READY=1");
  loop_.run();
  // The executor's last tasks post to the loop, where nothing runs any more.
  server_->close_all();
  admin_server_->close_all();
  executor_.reset();
  return 0;
}

// Requests under way are finished; a second signal doesn't wait for them.
void Program::stop() {
  if (drain_) {
    loop_.stop();
    return;
  }
  (void)net::sd_notify("STOPPING=1");
  for (auto& listener : listeners_) listener->pause();
  server_->drain();
  const MonoTime until = loop_.now() + kDrain;
  drain_.emplace(loop_, [this, until] {
    if (server_->empty() || loop_.now() >= until) {
      loop_.stop();
    } else {
      drain_->arm(std::chrono::milliseconds(20));
    }
  });
  drain_->arm(Duration::zero());
}

std::string Program::status() const {
  text::Json json = text::Json::object();
  json.set("program", "origin");
  json.set("uptime_s", (clock_.mono() - started_).count() / 1'000'000'000);
  json.set("control", settings_.control.empty() ? "off" : settings_.control);
  json.set("site", settings_.site);
  json.set("outbox", store_->outbox_size());
  text::Json receipt;
  if (outbox_ != nullptr) {
    Result<text::Json> parsed = text::Json::parse(outbox_->last_receipt());
    if (parsed) receipt = std::move(*parsed);
  }
  json.set("last_purge", std::move(receipt));
  json.set("connections", server_->counters().connections);
  return json.dump();
}

}  // namespace

int run(const OriginOptions& options) {
  OriginSettings settings;
  Diagnostics diagnostics;
  const bool right = load_settings(options, settings, diagnostics);
  for (const std::string& line : diagnostics.warnings()) {
    std::fprintf(stderr, "origin: warning: %s\n", line.c_str());
  }
  for (const std::string& line : diagnostics.errors()) {
    std::fprintf(stderr, "origin: %s\n", line.c_str());
  }
  if (!right) return 2;
  log::start("origin", static_cast<log::Level>(settings.log.level));
  net::block_signals({SIGTERM, SIGINT});
  Program program(settings);
  const int code = program.start();
  return code != 0 ? code : program.run();
}

}  // namespace bw::origin
