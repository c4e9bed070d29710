#include "purge/program.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "core/base/log.h"
#include "core/base/token_file.h"
#include "core/http/server.h"
#include "core/net/listener.h"
#include "core/net/privileges.h"
#include "core/net/signals.h"
#include "core/net/tls.h"
#include "purge/service.h"
#include "purge/settings.h"
#include "purge/state.h"

namespace bw::purge {
namespace {

constexpr Duration kTokensAgain = std::chrono::seconds(2);
constexpr Duration kDrainLook = std::chrono::milliseconds(20);
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

class Program {
 public:
  explicit Program(PurgedSettings settings)
      : settings_(std::move(settings)),
        loop_(clock_),
        executor_("purged", 1, 1000),
        metrics_(registry_),
        nodes_({settings_.registry.heartbeat, settings_.registry.quarantine_after,
                settings_.registry.forget_after}) {}

  bool start(std::string* why);
  void run();

 private:
  bool open_log(std::string* why);
  bool listen(const std::string& address, std::shared_ptr<net::TlsContext> tls, const char* kind,
              http::Service& service, std::string* why);
  bool open_admin(std::string* why);
  void admin(const http::EndpointRequest& request, http::Reply reply);
  void stop();

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
  std::unique_ptr<http::EndpointService> admin_api_;
  std::string admin_token_;
  std::vector<std::unique_ptr<http::Server>> servers_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<std::string> ready_;
  std::unique_ptr<net::Signals> signals_;
  std::unique_ptr<net::Timer> tokens_again_;
  std::unique_ptr<net::Timer> drain_;
  MonoTime drain_until_;
  bool stopping_ = false;
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

bool Program::listen(const std::string& text, std::shared_ptr<net::TlsContext> tls,
                     const char* kind, http::Service& service, std::string* why) {
  const Result<net::Address> address = net::Address::parse(text);
  const Result<net::ListenSocket> socket = net::open_listen_socket(*address, false, why);
  if (!socket.ok()) return false;
  http::ServerOptions options;
  options.tls = std::move(tls);
  options.limits.max_body_size = 1ull << 40;  // the endpoint refuses, as a problem
  servers_.push_back(std::make_unique<http::Server>(loop_, service, options));
  http::Server* server = servers_.back().get();
  listeners_.push_back(std::make_unique<net::Listener>(
      loop_, socket->fd, [server](int fd, const net::Address& peer) { server->accept(fd, peer); }));
  ready_.push_back("listening on " + socket->address.text() + " (" + kind + ")");
  return true;
}

bool Program::start(std::string* why) {
  net::raise_descriptor_limit();
  if (!open_log(why)) return false;
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
  std::shared_ptr<net::TlsContext> tls;
  if (!settings_.certificates.empty()) {
    net::TlsServerOptions options;
    options.min_version = settings_.tls.min_version;
    for (const CertificateSettings& one : settings_.certificates) {
      options.certificates.push_back({one.cert, one.key, "", false});
    }
    Result<std::shared_ptr<net::TlsContext>> made = net::make_server_tls(options, why);
    if (!made.ok()) {
      *why = "certificate: " + *why;
      return false;
    }
    tls = *made;
  }
  for (const ListenSettings& one : settings_.listen) {
    if (!listen(one.address, one.tls ? tls : nullptr, one.tls ? "https" : "http", *api_, why)) {
      return false;
    }
  }
  return open_admin(why) && begin_epoch(*writer_, settings_.store.path, clock_, log_, why).ok();
}

bool Program::open_admin(std::string* why) {
  if (!settings_.admin) return true;
  if (!settings_.admin->token_file.empty()) {
    std::optional<std::string> token = read_token_file(settings_.admin->token_file, why);
    if (!token) {
      *why = "admin.token_file: " + *why;
      return false;
    }
    admin_token_ = std::move(*token);
  }
  admin_api_ = std::make_unique<http::EndpointService>(
      [this](http::EndpointRequest request, http::Reply reply) {
        admin(request, std::move(reply));
      },
      4096);
  return listen(settings_.admin->listen, nullptr, "admin", *admin_api_, why);
}

void Program::admin(const http::EndpointRequest& request, http::Reply reply) {
  using http::EndpointResponse;
  const std::string_view path = request.head.path();
  if (request.head.method != "GET" && request.head.method != "HEAD") {
    EndpointResponse answer =
        EndpointResponse::problem(405, "method", "This resource has other methods.");
    answer.fields.set(http::FieldId::allow, "GET");
    return reply.send(std::move(answer));
  }
  if (path == "/healthz") return reply.send(EndpointResponse::json(200, "{\"alive\":true}"));
  if (path == "/readyz") {
    return reply.send(
        stopping_ ? EndpointResponse::json(503, "{\"ready\":false,\"reason\":\"draining\"}")
                  : EndpointResponse::json(200, service_->log_failed()
                                                    ? "{\"ready\":true,\"degraded\":[\"log\"]}"
                                                    : "{\"ready\":true,\"degraded\":[]}"));
  }
  const auto given = request.head.fields.find(http::FieldId::authorization);
  const bool may = admin_token_.empty() ? request.peer.peer.loopback()
                                        : given && equal_secret(*given, "Bearer " + admin_token_);
  if (!may) {
    return reply.send(admin_token_.empty()
                          ? EndpointResponse::problem(403, "no-token", "Only local peers may read.")
                          : EndpointResponse::problem(401, "unauthorized", "A token is needed."));
  }
  if (path == "/metrics") {
    EndpointResponse answer;
    answer.fields.set(http::FieldId::content_type, "text/plain; version=0.0.4; charset=utf-8");
    answer.body = registry_.text();
    return reply.send(std::move(answer));
  }
  if (path == "/v1/status") {
    text::Json body = text::Json::object();
    body.set("name", settings_.node.name).set("role", "purged").set("version", BW_VERSION);
    body.set("uptime_s", (clock_.mono() - started_).count() / 1'000'000'000);
    body.set("end", log_.end().position.text());
    body.set("records", static_cast<int64_t>(log_.size()));
    body.set("nodes", static_cast<int64_t>(nodes_.nodes().size()));
    body.set("streams", static_cast<int64_t>(service_->streams()));
    return reply.send(EndpointResponse::json(200, body.dump()));
  }
  reply.send(EndpointResponse::problem(404, "not-found", "There is no such resource here."));
}

void Program::run() {
  signals_ = std::make_unique<net::Signals>(loop_, std::initializer_list<int>{SIGTERM, SIGINT},
                                            [this](int) { stop(); });
  tokens_again_ = std::make_unique<net::Timer>(loop_, [this] {
    (void)executor_.submit([this] {
      std::string why;
      auto tokens = std::make_shared<std::vector<Token>>(read_tokens(settings_, &why));
      loop_.post([this, tokens, why] {
        // A file that is just being replaced keeps the tokens that are known.
        if (why.empty()) service_->set_tokens(std::move(*tokens));
      });
    });
    tokens_again_->arm(kTokensAgain);
  });
  tokens_again_->arm(kTokensAgain);
  for (const std::string& line : ready_) std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  (void)net::sd_notify("READY=1");
  loop_.run();
  for (const auto& server : servers_) server->close_all();
  listeners_.clear();
  loop_.turn();
  servers_.clear();
}

void Program::stop() {
  if (stopping_) {
    loop_.stop();
    return;
  }
  stopping_ = true;
  (void)net::sd_notify("STOPPING=1");
  listeners_.clear();
  for (const auto& server : servers_) server->drain();
  service_->drain();
  drain_until_ = loop_.now() + settings_.node.drain_timeout;
  drain_ = std::make_unique<net::Timer>(loop_, [this] {
    const bool busy = std::any_of(servers_.begin(), servers_.end(),
                                  [](const auto& server) { return !server->empty(); });
    if (!busy || loop_.now() >= drain_until_) {
      loop_.stop();
    } else {
      drain_->arm(kDrainLook);
    }
  });
  drain_->arm(kDrainLook);
}

}  // namespace

int run(const PurgedOptions& options) {
  net::block_signals({SIGTERM, SIGINT});
  log::start("purged", log::Level::info);
  Diagnostics diagnostics;
  PurgedSettings settings;
  const bool read = load_purged_settings(options, settings, diagnostics);
  for (const std::string& error : diagnostics.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  if (!read || !diagnostics.ok()) return 2;
  log::set_level(static_cast<log::Level>(settings.log.level));
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
  return load_purged_settings(options, settings, diagnostics);
}

std::string settings_document() {
  PurgedSettings settings;
  return settings_markdown("Purge service: `breakwater purged --config FILE`",
                           [&settings](SettingGroup& g) { settings.declare(g); });
}

}  // namespace bw::purge
