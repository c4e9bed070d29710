#include "purge/program.h"

#include <cstdio>

#include "core/base/log.h"
#include "core/base/token_file.h"
#include "core/http/api_process.h"
#include "core/text/json.h"
#include "purge/service.h"
#include "purge/settings.h"
#include "purge/state.h"

namespace bw::purge {
namespace {

constexpr Duration kTokensAgain = std::chrono::seconds(2);
constexpr size_t kMaxBody = 256 * 1024;  // of beats; purges have their own bound

// Reads what tokens' files hold now. `why`: the first that can't be read.
std::vector<Token> read_tokens(const PurgedSettings& settings, std::string* why) {
  std::vector<Token> tokens;
  for (const TokenSettings& from : settings.tokens) {
    Token token;
    token.name = from.name;
    token.sites = from.sites;
    for (const std::string& scope : from.scopes) {
      token.scopes = static_cast<uint8_t>(token.scopes | parse_scope(scope));
    }
    std::optional<Sha256> hash;
    if (from.hash.empty()) {
      const std::optional<std::string> secret = read_token_file(from.token_file, why);
      if (!secret) {
        *why = "token.token_file: " + *why;
        continue;
      }
      hash = sha256(*secret);
    } else {
      hash = parse_token_hash(from.hash);
    }
    token.hash = *hash;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

class Program final : public http::AdminSource {
 public:
  explicit Program(PurgedSettings settings)
      : settings_(std::move(settings)),
        loop_(clock_),
        executor_("purged", 1, 1000),
        metrics_(registry_),
        nodes_({settings_.registry.heartbeat, settings_.registry.quarantine_after,
                settings_.registry.forget_after}),
        process_(loop_, settings_,
                 {.draining = [this] { service_->drain(); }, .reload = [this] { read_again(); }}),
        tokens_again_(loop_, [this] {
          read_again();
          tokens_again_.arm(kTokensAgain);
        }) {}

  bool start(std::string* why);
  void run();

 private:
  bool open_log(std::string* why);
  void read_again();
  http::Readiness readiness() const override;
  std::string status_body() const override;
  const metrics::Registry& metrics() const override { return registry_; }

  const PurgedSettings settings_;
  SystemClock clock_;
  SystemRandom random_;
  net::Loop loop_;
  Executor executor_;
  metrics::Registry registry_;
  ServiceMetrics metrics_;
  MonoTime started_ = clock_.mono();
  LogView log_;
  Registry nodes_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<http::EndpointService> api_;
  http::ApiProcess process_;
  net::Timer tokens_again_;
};

bool Program::open_log(std::string* why) {
  Result<std::unique_ptr<LogFile>> file = open_log_folder(settings_.store.path, why);
  if (!file.ok()) return false;
  Result<std::unique_ptr<LogStore>> store =
      open_state(std::move(*file), settings_.store.path, clock_, random_, log_, nodes_, why);
  if (!store.ok()) return false;
  writer_ = std::make_unique<LogWriter>(loop_, std::move(*store));
  return true;
}

bool Program::start(std::string* why) {
  if (!process_.bind(*this, why) || !open_log(why)) return false;
  std::vector<Token> tokens = read_tokens(settings_, why);
  if (!why->empty()) return false;
  service_ =
      std::make_unique<Service>(Service::Parts{loop_, random_, executor_, *writer_, log_, nodes_,
                                               metrics_, registry_file(settings_.store.path)},
                                settings_, std::move(tokens));
  api_ = std::make_unique<http::EndpointService>(
      [this](http::EndpointRequest request, http::Reply reply) {
        service_->on_request(std::move(request), std::move(reply));
      },
      kMaxBody);
  http::ServerLimits limits;
  limits.max_body_size = http::kMaxRefusedBody;
  return process_.serve(*api_, limits, executor_, why) &&
         begin_epoch(*writer_, settings_.store.path, clock_, log_, why).ok();
}

http::Readiness Program::readiness() const {
  http::Readiness readiness = process_.readiness();
  if (service_->log_failed()) readiness.degraded.push_back("log");
  return readiness;
}

std::string Program::status_body() const {
  text::Json body = text::Json::object();
  body.set("name", settings_.node.name).set("role", "purged").set("version", BW_VERSION);
  body.set("uptime_s", (clock_.mono() - started_).count() / 1'000'000'000);
  body.set("degraded", text::Json::strings(readiness().degraded));
  body.set("end", log_.end().position.text());
  body.set("records", static_cast<int64_t>(log_.size()));
  body.set("nodes", static_cast<int64_t>(nodes_.nodes().size()));
  body.set("streams", static_cast<int64_t>(service_->streams()));
  return body.dump();
}

void Program::read_again() {
  (void)executor_.submit([this] {
    std::string why;
    auto tokens = std::make_shared<std::vector<Token>>(read_tokens(settings_, &why));
    loop_.post([this, tokens, why] {
      // A file that is just being replaced keeps the tokens that are known.
      if (why.empty()) service_->set_tokens(std::move(*tokens));
    });
  });
}

void Program::run() {
  tokens_again_.arm(kTokensAgain);
  process_.run();
}

}  // namespace

int run(const PurgedOptions& options) {
  http::block_process_signals();
  log::start("purged", log::Level::info);
  Diagnostics diagnostics;
  PurgedSettings settings;
  const bool read = load_purged_settings(options, settings, diagnostics);
  for (const std::string& error : diagnostics.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  if (!read || !diagnostics.ok()) return 2;
  log::set_level(settings.log.level);
  Program program(std::move(settings));
  std::string why;
  if (!program.start(&why)) {
    std::fprintf(stderr, "breakwater: %s\n", why.c_str());
    return 1;
  }
  program.run();
  return 0;
}

bool check_settings(const std::string& file, Diagnostics& diagnostics) {
  PurgedOptions options;
  options.config = file;
  PurgedSettings settings;
  if (!load_purged_settings(options, settings, diagnostics)) return false;
  net::check_secret_files(settings.certificates, settings.tls, settings.admin, diagnostics);
  for (const TokenSettings& one : settings.tokens) {
    check_secret_file(one.token_file, "token.token_file", diagnostics);
  }
  return true;
}

std::string settings_document() {
  PurgedSettings settings;
  return settings_markdown("Purge service: `breakwater purged --config FILE`",
                           [&settings](SettingGroup& g) { settings.declare(g); });
}

}  // namespace bw::purge
