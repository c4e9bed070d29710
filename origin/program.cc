#include "origin/program.h"

#include <cstdio>

#include "core/base/executor.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/http/api_process.h"
#include "core/text/json.h"
#include "origin/api.h"
#include "origin/outbox.h"
#include "origin/settings.h"

namespace bw::origin {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kMostTasks = 10'000;
constexpr uint64_t kMostUpload = 1ull << 40;

// Everything of a running origin, in the order it is made.
class Program final : public http::AdminSource {
 public:
  explicit Program(const OriginSettings& settings)
      : name_(settings.node.name),
        settings_(settings.origin),
        loop_(clock_),
        metrics_(registry_),
        process_(loop_, settings, {}) {}

  bool start(std::string* why);
  void run();

 private:
  bool open_store(std::string* why);
  http::Readiness readiness() const override { return process_.readiness(); }
  std::string status_body() const override;
  const metrics::Registry& metrics() const override { return registry_; }

  const std::string& name_;
  const ApiSettings& settings_;
  SystemClock clock_;
  SystemRandom random_;
  net::Loop loop_;
  metrics::Registry registry_;
  OriginMetrics metrics_;
  std::unique_ptr<ProductStore> store_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Api> api_;
  // Joins before what its tasks use goes.
  std::unique_ptr<Executor> executor_;
  http::ApiProcess process_;
  MonoTime started_ = clock_.mono();
};

bool Program::open_store(std::string* why) {
  const bool publishes = !settings_.control.empty();
  Result<std::unique_ptr<ProductStore>> store =
      ProductStore::open(settings_.store, publishes, random_, why);
  if (!store) return false;
  store_ = std::move(*store);
  if (!settings_.data.empty()) {
    const Result<uint64_t> added = store_->load(settings_.data, clock_.wall(), why);
    if (!added) return false;
    log::info(std::to_string(*added) + " products read from " + settings_.data);
  } else if (store_->empty()) {
    const Status made = store_->generate(settings_.products, clock_.wall());
    if (!made) {
      *why = settings_.store + ": " + describe(made.error());
      return false;
    }
    log::info(std::to_string(settings_.products) + " products generated");
  }
  return true;
}

bool Program::start(std::string* why) {
  if (!process_.bind(*this, why) || !open_store(why)) return false;
  executor_ = std::make_unique<Executor>("origin", kThreads, kMostTasks);
  if (!settings_.control.empty()) {
    auto link = purge::ServiceLink::make(
        {.url = settings_.control, .token_file = settings_.token_file, .ca_file = settings_.ca},
        why);
    if (!link) return false;
    outbox_ = std::make_unique<Outbox>(loop_, *executor_, *store_, *link, settings_.site, metrics_);
  }
  ApiOptions options;
  options.static_files = settings_.static_files;
  options.delay = settings_.delay;
  options.written = [this] {
    if (outbox_ != nullptr) outbox_->poke();
  };
  api_ = std::make_unique<Api>(loop_, *executor_, *store_, metrics_, std::move(options));
  http::ServerLimits limits;
  limits.max_body_size = kMostUpload;
  return process_.serve(*api_, limits, *executor_, why);
}

void Program::run() {
  if (outbox_ != nullptr) outbox_->poke();
  process_.run();
  // The executor's last tasks post to the loop, where nothing runs any more.
  executor_.reset();
}

std::string Program::status_body() const {
  text::Json json = text::Json::object();
  json.set("name", name_).set("role", "origin").set("version", BW_VERSION);
  json.set("uptime_s", (clock_.mono() - started_).count() / 1'000'000'000);
  json.set("degraded", text::Json::array());
  json.set("control", settings_.control.empty() ? "off" : settings_.control);
  json.set("site", settings_.site);
  json.set("outbox", store_->outbox_size());
  text::Json receipt;
  if (outbox_ != nullptr) {
    Result<text::Json> parsed = text::Json::parse(outbox_->last_receipt());
    if (parsed) receipt = std::move(*parsed);
  }
  json.set("last_purge", std::move(receipt));
  json.set("connections", process_.connections());
  return json.dump();
}

}  // namespace

int run(const OriginOptions& options) {
  http::block_process_signals();
  log::start("origin", log::Level::info);
  OriginSettings settings;
  Diagnostics diagnostics;
  const bool right = load_settings(options, settings, diagnostics);
  for (const std::string& error : diagnostics.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  if (!right) return 2;
  log::set_level(settings.log.level);
  Program program(settings);
  std::string why;
  if (!program.start(&why)) {
    std::fprintf(stderr, "breakwater: %s\n", why.c_str());
    return 1;
  }
  program.run();
  return 0;
}

}  // namespace bw::origin
