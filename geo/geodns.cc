#include "geo/geodns.h"

#include <signal.h>

#include <thread>
#include <utility>

#include "core/base/log.h"
#include "core/net/privileges.h"
#include "core/text/json.h"

namespace bw::geo {
namespace {

constexpr Duration kDatabaseInterval = std::chrono::seconds(2);
constexpr size_t kExecutorQueue = 64;

}  // namespace

Geodns::Geodns(const GeodnsOptions& options, std::shared_ptr<const Loaded> loaded,
               const dns::CookieSecret& secret, Clock& clock, Random& random)
    : options_(options),
      loaded_(std::move(loaded)),
      secret_(secret),
      clock_(clock),
      loop_(clock),
      executor_("geodns-work", 1, kExecutorQueue),
      metrics_(registry_),
      rates_(loaded_->settings->rrl.responses, random.next()),
      board_(std::make_unique<HealthBoard>(loaded_->world->pops, nullptr)),
      loaded_at_(clock.wall()),
      started_(clock.mono()) {}

// Members go in the opposite order of their making: workers first, loops last.
Geodns::~Geodns() = default;

bool Geodns::start(std::string* why) {
  if (!listen(why) || !watch(why)) return false;
  const GeodnsSettings& settings = *loaded_->settings;
  if (Status status = net::drop_privileges(settings.node.user, settings.node.group, why); !status) {
    return false;
  }
  signals_ =
      std::make_unique<net::Signals>(loop_, std::initializer_list<int>{SIGTERM, SIGINT, SIGHUP},
                                     [this](int signal) { signalled(signal); });
  if (settings.geo) {
    mark_ = mark_of(settings.geo->country);
    database_timer_ = std::make_unique<net::Timer>(loop_, [this] { look_at_database(); });
    database_timer_->arm(kDatabaseInterval);
  }
  (void)net::sd_notify("READY=1");
  return true;
}

bool Geodns::listen(std::string* why) {
  const GeodnsSettings& settings = *loaded_->settings;
  (void)net::raise_descriptor_limit();
  size_t count = settings.node.workers;
  if (count == 0) count = std::max(1u, std::thread::hardware_concurrency());
  for (size_t i = 0; i < count; ++i) {
    workers_.push_back(
        std::make_unique<Worker>("dns-" + std::to_string(i), clock_, rates_, metrics_));
  }
  publish();
  std::vector<net::Address> taken;
  for (const DnsListenSettings& one : settings.listen) {
    net::Address address = *net::Address::parse(one.address);
    if (count > 1 && address.port() != 0 && !address_is_free(loop_, address, why)) return false;
    for (const auto& worker : workers_) {
      const Result<net::Address> bound = worker->listen(address, count > 1, why);
      if (!bound) return false;
      if (worker == workers_.front()) taken.push_back(*bound);
      // Where the port was any, all workers take the first one's. A handed socket has no other.
      if (address.family() == net::Address::Family::ip) address = *bound;
    }
  }
  if (settings.admin) {
    Result<std::unique_ptr<http::AdminListener>> admin = http::AdminListener::open(
        loop_, *net::Address::parse(settings.admin->listen), *this, loaded_->admin_token,
        {http::reload_route([this](ReloadTurns::Done done) { reloads_.ask(std::move(done)); })},
        why);
    if (!admin) return false;
    admin_ = std::move(*admin);
  }
  for (const net::Address& address : taken) net::tell_listening(address, "dns");
  if (admin_ != nullptr) admin_->tell_ready();
  return true;
}

bool Geodns::watch(std::string* why) {
  const GeodnsSettings& settings = *loaded_->settings;
  if (settings.state) {
    if (state_ == nullptr) {
      state_ = std::make_unique<StateFile>(loop_, executor_, settings.state->path);
      board_->restore(state_->load());
    }
  }
  prober_ = Prober::make(
      loop_, settings.probe, loaded_->world->pops,
      [this](size_t pop, size_t address, bool good) {
        const std::string& name = loaded_->world->pops[pop].name;
        metrics_.probes.with({name, good ? "good" : "bad"}).add();
        if (!board_->probed(pop, address, good, loop_.now())) return;
        log::info("pop " + name + ": " + loaded_->world->pops[pop].addresses[address].text() +
                  (board_->up(pop, address) ? " is up" : " is down"));
        health_changed();
      },
      why);
  if (prober_ == nullptr) return false;
  if (settings.control) {
    purge::ServiceLinkOptions link;
    link.url = settings.control->url;
    link.token_file = settings.control->token_file;
    link.ca_file = settings.control->ca;
    auto made = purge::ServiceLink::make(link, why);
    if (!made) return false;
    watch_ = std::make_unique<RegistryWatch>(loop_, std::move(*made), executor_, metrics_,
                                             [this](const std::vector<RegisteredNode>& nodes) {
                                               if (!board_->registered(nodes)) return;
                                               log::info("registry: which nodes are ready changed");
                                               health_changed();
                                             });
  }
  publish();
  return true;
}

void Geodns::run() { loop_.run(); }

void Geodns::signalled(int signal) {
  if (signal == SIGHUP) return reloads_.ask([](const std::string&) {});
  log::info("stopping");
  (void)net::sd_notify("STOPPING=1");
  loop_.stop();
}

void Geodns::publish() {
  const auto health = std::make_shared<Health>(board_->view());
  for (size_t p = 0; p < board_->pops().size(); ++p) {
    const Pop& pop = board_->pops()[p];
    for (size_t i = 0; i < pop.addresses.size(); ++i) {
      metrics_.address_up.with({pop.name, pop.addresses[i].text()}).set(health->up[p][i] ? 1 : 0);
    }
  }
  for (const auto& worker : workers_) worker->set_snapshot({loaded_->world, health});
}

void Geodns::health_changed() {
  publish();
  if (state_ != nullptr) state_->save(board_->encode());
}

void Geodns::read_again() {
  const Status queued = executor_.submit([this, options = options_, secret = secret_] {
    Diagnostics diagnostics;
    std::string why;
    auto loaded = load_world(options, secret, diagnostics, &why);
    if (!diagnostics.ok()) {
      why = diagnostics.errors().front();
      for (const std::string& error : diagnostics.errors()) log::error(error);
    } else if (loaded == nullptr) {
      log::error(why);
    }
    loop_.post([this, loaded = std::move(loaded), why] {
      config_error_ = loaded == nullptr ? why : std::string();
      if (loaded == nullptr) {
        metrics_.reload_failures.add();
        log::error("reload failed; the running configuration stays");
      } else {
        take(loaded, true);
      }
      reloads_.over(config_error_);
    });
  });
  if (!queued) reloads_.over("too much waits for the disk");
}

// The database is looked at on the executor: it may lie on a slow disk.
void Geodns::look_at_database() {
  database_timer_->arm(kDatabaseInterval);
  if (!reloads_.try_take()) return;
  const Status queued = executor_.submit([this, loaded = loaded_, before = mark_] {
    const FileMark mark = mark_of(loaded->settings->geo->country);
    std::string why;
    std::shared_ptr<const Loaded> next;
    if (!(mark == before)) next = reload_database(*loaded, &why);
    loop_.post([this, next, mark, before, why] {
      if (mark == before) return reloads_.over();
      mark_ = mark;
      database_error_ = why;
      if (next == nullptr) {
        metrics_.reload_failures.add();
        log::error("database: " + why + "; the last good one stays");
      } else {
        take(next, false);
      }
      reloads_.over();
    });
  });
  if (!queued) reloads_.over();
}

void Geodns::take(std::shared_ptr<const Loaded> loaded, bool new_settings) {
  loaded_ = std::move(loaded);
  loaded_at_ = loop_.wall();
  ++generation_;
  if (new_settings) {
    log::set_level(loaded_->settings->log.level);
    if (admin_ != nullptr) admin_->set_token(loaded_->admin_token);
    board_ = std::make_unique<HealthBoard>(loaded_->world->pops, board_.get());
    loop_.retire(std::move(prober_));
    loop_.retire(std::move(watch_));
    std::string why;
    if (!watch(&why)) {
      log::error(why + "; nothing is probed until the next reload");
      config_error_ = why;
    }
    if (loaded_->settings->geo && database_timer_ == nullptr) {
      database_timer_ = std::make_unique<net::Timer>(loop_, [this] { look_at_database(); });
      database_timer_->arm(kDatabaseInterval);
    } else if (!loaded_->settings->geo) {
      loop_.retire(std::move(database_timer_));
    }
  }
  publish();
  log::info(new_settings ? "reloaded" : "database reloaded");
}

http::Readiness Geodns::readiness() const {
  http::Readiness readiness;
  std::vector<std::string>& reasons = readiness.degraded;
  if (!config_error_.empty()) reasons.emplace_back("config");
  if (!database_error_.empty()) reasons.emplace_back("database");
  if (watch_ != nullptr && !watch_->following()) reasons.emplace_back("registry");
  return readiness;
}

std::string Geodns::status_body() const {
  text::Json out = text::Json::object();
  out.set("name", loaded_->settings->node.name);
  out.set("role", "geodns");
  out.set("version", BW_VERSION);
  out.set("uptime_s", (loop_.now() - started_).count() / 1'000'000'000);
  out.set("degraded", text::Json::strings(readiness().degraded));
  text::Json config = text::Json::object();
  config.set("generation", generation_).set("loaded_at", loaded_at_.seconds());
  config.set("error", config_error_.empty() ? text::Json() : text::Json(config_error_));
  out.set("config", std::move(config));
  text::Json control = text::Json::object();
  control.set("state", watch_ == nullptr ? "off" : watch_->following() ? "following" : "failing");
  out.set("control", std::move(control));
  text::Json database = text::Json::object();
  const World& world = *loaded_->world;
  database.set("size", world.locator == nullptr ? size_t{0} : world.locator->bytes());
  database.set("error", database_error_.empty() ? text::Json() : text::Json(database_error_));
  out.set("database", std::move(database));
  text::Json pops = text::Json::array();
  for (size_t p = 0; p < world.pops.size(); ++p) {
    text::Json addresses = text::Json::array();
    for (size_t i = 0; i < world.pops[p].addresses.size(); ++i) {
      text::Json one = text::Json::object();
      one.set("address", world.pops[p].addresses[i].text());
      one.set("state", board_->up(p, i) ? "up" : "down");
      addresses.push(std::move(one));
    }
    text::Json pop = text::Json::object();
    pop.set("name", world.pops[p].name).set("addresses", std::move(addresses));
    pops.push(std::move(pop));
  }
  out.set("pops", std::move(pops));
  text::Json maps = text::Json::array();
  for (const PlaceMap& map : world.maps) {
    text::Json one = text::Json::object();
    one.set("name", map.name).set("blocks", map.table.size()).set("lists", map.lists.size());
    maps.push(std::move(one));
  }
  out.set("maps", std::move(maps));
  out.set("zones", world.zones.size());
  return out.dump();
}

}  // namespace bw::geo
