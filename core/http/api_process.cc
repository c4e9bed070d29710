#include "core/http/api_process.h"

#include <signal.h>

#include <algorithm>
#include <optional>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/net/privileges.h"

namespace bw::http {
namespace {

constexpr Duration kWatch = std::chrono::seconds(2);
constexpr Duration kDrainLook = std::chrono::milliseconds(20);
constexpr std::initializer_list<int> kSignals = {SIGTERM, SIGINT, SIGHUP};

std::vector<FileMark> marks_of(const net::ApiProcessSettings& settings) {
  std::vector<FileMark> marks;
  for (const net::CertificateSettings& one : settings.certificates) {
    for (const std::string* file : {&one.cert, &one.key, &one.ocsp})
      marks.push_back(mark_of(*file));
  }
  marks.push_back(mark_of(settings.tls.ticket_keys));
  return marks;
}

}  // namespace

void block_process_signals() { net::block_signals(kSignals); }

ApiProcess::ApiProcess(net::Loop& loop, const net::ApiProcessSettings& settings, Hooks hooks)
    : loop_(loop),
      settings_(settings),
      hooks_(std::move(hooks)),
      watch_(loop,
             [this] {
               watch_.arm(kWatch);
               if (reloads_.try_take()) read_files(false);
             }),
      drain_looks_(loop, [this] { look_whether_drained(); }) {}

ApiProcess::~ApiProcess() { *alive_ = false; }

bool ApiProcess::bind(const AdminSource& source, std::string* why) {
  net::raise_descriptor_limit();
  for (const net::ListenSettings& one : settings_.listen) {
    const Result<net::Address> address = net::Address::parse(one.address);
    BW_CHECK(address.ok());
    Result<std::unique_ptr<BoundServer>> bound =
        BoundServer::bind(loop_, *address, one.tls ? "https" : "http", why);
    if (!bound.ok()) return false;
    servers_.push_back(std::move(*bound));
  }
  if (settings_.admin) {
    std::optional<std::string> token = net::read_admin_token(settings_.admin, why);
    if (!token) return false;
    const Result<net::Address> address = net::Address::parse(settings_.admin->listen);
    BW_CHECK(address.ok());
    Result<std::unique_ptr<AdminListener>> admin =
        AdminListener::open(loop_, *address, source, std::move(*token), {}, why);
    if (!admin.ok()) return false;
    admin_ = std::move(*admin);
  }
  return net::drop_privileges(settings_.node.user, settings_.node.group, why).ok();
}

bool ApiProcess::serve(Service& api, const ServerLimits& limits, Executor& executor,
                       std::string* why) {
  limits_ = limits;
  executor_ = &executor;
  if (!settings_.certificates.empty()) {
    marks_ = marks_of(settings_);
    Result<std::shared_ptr<net::TlsContext>> made =
        net::make_server_tls(net::tls_options(settings_.certificates, settings_.tls), why);
    if (!made.ok()) {
      *why = "certificate: " + *why;
      return false;
    }
    tls_ = std::move(*made);
  }
  for (size_t i = 0; i < servers_.size(); ++i) servers_[i]->serve(api, options(i));
  return true;
}

ServerOptions ApiProcess::options(size_t listener) const {
  ServerOptions options;
  options.limits = limits_;
  if (settings_.listen[listener].tls) options.tls = tls_;
  return options;
}

void ApiProcess::run() {
  signals_ =
      std::make_unique<net::Signals>(loop_, kSignals, [this](int number) { signal(number); });
  if (!settings_.certificates.empty()) watch_.arm(kWatch);
  for (const auto& server : servers_) server->tell_ready();
  if (admin_ != nullptr) admin_->tell_ready();
  (void)net::sd_notify("READY=1");
  loop_.run();
  for (const auto& server : servers_) server->close();
  if (admin_ != nullptr) admin_->close();
  loop_.turn();  // in which what was closed goes
  servers_.clear();
  admin_.reset();
}

Readiness ApiProcess::readiness() const {
  Readiness readiness;
  if (stopping_) {
    readiness.ready = false;
    readiness.reason = "draining";
  }
  return readiness;
}

uint64_t ApiProcess::connections() const {
  uint64_t all = 0;
  for (const auto& server : servers_) all += server->server().counters().connections;
  return all;
}

void ApiProcess::signal(int number) {
  if (number != SIGHUP) return stop();
  (void)net::sd_notify_reloading();
  reloads_.ask([](const std::string&) { (void)net::sd_notify("READY=1"); });
  hooks_.reload();
}

void ApiProcess::read_files(bool reload) {
  const Status queued = executor_->submit(
      [this, alive = alive_, reload, before = marks_, &loop = loop_, &settings = settings_] {
        const Marks marks = settings.certificates.empty() ? Marks() : marks_of(settings);
        std::string why;
        std::shared_ptr<net::TlsContext> tls;
        std::optional<std::string> token;
        if (!settings.certificates.empty() && (reload || marks != before)) {
          Result<std::shared_ptr<net::TlsContext>> made =
              net::make_server_tls(net::tls_options(settings.certificates, settings.tls), &why);
          if (made.ok()) {
            tls = std::move(*made);
          } else {
            log::error("certificate: " + why + "; the last good one stays");
          }
        }
        if (reload) {
          token = net::read_admin_token(settings.admin, &why);
          if (!token) log::error(why + "; the token in force stays");
        }
        loop.post([this, alive, marks, tls, token] {
          if (!*alive) return;
          marks_ = marks;  // of what was tried: a broken file is told once
          if (tls != nullptr) use_tls(tls);
          if (token && admin_ != nullptr) admin_->set_token(*token);
          reloads_.over();
        });
      });
  if (queued.ok()) return;
  if (reload) log::error("a reload cannot begin: " + describe(queued.error()));
  reloads_.over();
}

void ApiProcess::use_tls(std::shared_ptr<net::TlsContext> tls) {
  tls_ = std::move(tls);
  for (size_t i = 0; i < servers_.size(); ++i) servers_[i]->server().set_options(options(i));
  log::info("certificates reloaded");
}

void ApiProcess::stop() {
  if (stopping_) return loop_.stop();  // asked twice: at once
  stopping_ = true;
  log::info("stopping");
  (void)net::sd_notify("STOPPING=1");
  for (const auto& server : servers_) server->drain();
  hooks_.draining();
  drain_until_ = loop_.now() + settings_.node.drain_timeout;
  drain_looks_.arm(Duration::zero());
}

void ApiProcess::look_whether_drained() {
  const bool busy = std::any_of(servers_.begin(), servers_.end(),
                                [](const auto& one) { return !one->server().empty(); });
  if (!busy || loop_.now() >= drain_until_) return loop_.stop();
  drain_looks_.arm(kDrainLook);
}

}  // namespace bw::http
