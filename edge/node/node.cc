#include "edge/node/node.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/token_file.h"
#include "core/net/privileges.h"
#include "edge/node/explain.h"
#include "edge/node/setting_rules.h"

namespace bw::edge {
namespace {

constexpr Duration kLookUpAgain = std::chrono::seconds(30);
constexpr Duration kDrainLook = std::chrono::milliseconds(20);

}  // namespace

struct Node::Entry {
  std::unique_ptr<Entrance> entrance;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<net::Listener> listener;
};

struct Node::Thread {
  std::unique_ptr<SeededRandom> random;
  std::unique_ptr<net::LoopThread> loop;
  std::unique_ptr<Worker> worker;
  std::vector<Entry> entries;
};

Node::Node(EdgeFlags flags, EdgeSettings settings, Clock& clock, Random& random)
    : flags_(std::move(flags)),
      settings_([&] {
        if (settings.node.name.empty()) settings.node.name = net::default_node_name();
        return std::move(settings);
      }()),
      clock_(clock),
      random_(random),
      proxy_metrics_(registry_),
      loop_(clock),
      started_(clock.mono()),
      executor_("node", 1, 100) {}

Node::~Node() {
  registry_.stop_asking();
  // Workers first: what they serve with outlives them.
  for (const std::unique_ptr<Thread>& thread : threads_) {
    if (thread->loop == nullptr) continue;
    thread->loop->run_and_wait([&] {
      for (Entry& entry : thread->entries) entry.listener.reset();
      for (Entry& entry : thread->entries) {
        if (entry.server != nullptr) entry.server->close_all();
      }
    });
    // A turn later what was closed is gone, and with it every reader of a fill.
    thread->loop->run_and_wait([&] { thread->worker->close(); });
    thread->loop->run_and_wait([&] {
      thread->entries.clear();
      thread->worker.reset();
    });
  }
  threads_.clear();
  feed_.reset();
}

bool Node::start(std::string* why) {
  net::raise_descriptor_limit();
  if (!open_listeners(why) || !open_admin(why)) return false;
  if (!net::drop_privileges(settings_.node.user, settings_.node.group, why).ok()) return false;
  Diagnostics diagnostics;
  loaded_ = load(settings_, site_ids_, diagnostics);
  if (loaded_ == nullptr) {
    for (const std::string& error : diagnostics.errors()) {
      if (error != diagnostics.errors().front()) log::error(error);
    }
    *why = diagnostics.errors().front();
    return false;
  }
  loaded_at_ = clock_.wall();
  if (settings_.log.access != "off") {
    Result<std::unique_ptr<AccessLog>> opened = AccessLog::open(
        settings_.log, {settings_.node.name, settings_.node.pop}, worker_fds_.size(), clock_, why);
    if (!opened.ok()) return false;
    access_log_ = std::move(*opened);
  }
  if (!open_cache(why)) return false;
  if (!open_control(why)) return false;
  declare_metrics();
  start_workers();
  return true;
}

// --- what is opened once

bool Node::open_listeners(std::string* why) {
  const uint32_t workers = settings_.node.workers > 0
                               ? settings_.node.workers
                               : std::max(1u, std::thread::hardware_concurrency());
  worker_fds_.resize(workers);
  for (const ListenSettings& listen : settings_.listen) {
    Result<net::Address> address = net::Address::parse(listen.address);
    BW_CHECK(address.ok());
    const bool shared = address->family() != net::Address::Family::ip;
    if (workers > 1 && !net::listen_address_is_free(*address, why).ok()) return false;
    net::ListenSocket first;
    for (uint32_t worker = 0; worker < workers; ++worker) {
      if (worker > 0 && shared) {
        // One queue, which all workers watch.
        worker_fds_[worker].push_back(::fcntl(first.fd, F_DUPFD_CLOEXEC, 0));
        continue;
      }
      Result<net::ListenSocket> opened =
          net::open_listen_socket(worker == 0 ? *address : first.address, workers > 1, why);
      if (!opened.ok()) return false;
      if (worker == 0) first = *opened;
      worker_fds_[worker].push_back(opened->fd);
    }
    sockets_.push_back(first);
  }
  return true;
}

bool Node::open_admin(std::string* why) {
  if (!settings_.admin) return true;
  Result<net::Address> address = net::Address::parse(settings_.admin->listen);
  BW_CHECK(address.ok());
  std::optional<std::string> token = net::read_admin_token(settings_.admin, why);
  if (!token) return false;
  Result<std::unique_ptr<http::AdminListener>> opened = http::AdminListener::open(
      loop_, *address, *this, std::move(*token),
      {{"/v1/explain",
        [this](const http::EndpointRequest& request, http::Reply reply) {
          answer_explain(loop_, *store_, loaded_->snapshot, request.body, std::move(reply));
        }},
       http::reload_route([this](ReloadTurns::Done done) { reload(std::move(done)); })},
      why);
  if (!opened.ok()) return false;
  admin_ = std::move(*opened);
  return true;
}

bool Node::open_cache(std::string* why) {
  purged_ =
      std::make_unique<PurgedSince>(settings_.control ? settings_.control->table_size : 64u << 20);
  Store::Options options;
  options.secret = random_.next();
  options.memory_size = settings_.memory.size;
  options.objective = static_cast<Objective>(settings_.memory.objective);
  if (settings_.disk) {
    DiskOptions disk;
    disk.path = settings_.disk->path;
    disk.size = settings_.disk->size;
    disk.memory = settings_.disk->memory;
    // What waits for the disk counts as memory of the cache.
    disk.queue_bytes = settings_.memory.size / 4;
    disk.admission = static_cast<DiskAdmission>(settings_.disk->admission);
    Result<std::unique_ptr<DiskTier>> opened = DiskTier::open(std::move(disk), clock_, why);
    if (!opened.ok()) {
      *why = "disk.path: " + *why;
      return false;
    }
    disk_ = std::move(*opened);
    const uint64_t boot = PurgeJournal::first_boot_at(clock_.wall());
    const std::string path = settings_.disk->path + "/purged-since";
    Result<std::unique_ptr<PurgeJournal>> journal = PurgeJournal::open(path, why, boot);
    if (!journal.ok()) {
      *why = "disk.path: " + *why;
      if (journal.error().kind == Error::Kind::busy) return false;
      // The disk is full or failing: as without a table, until it can be written.
      log::error(*why);
      why->clear();
      journal = PurgeJournal::open_later(path, boot);
    }
    journal_ = std::move(*journal);
    options.boot = journal_->loaded().boot;
  }
  store_ = std::make_unique<Store>(options, *purged_, disk_.get());
  limits_ = std::make_unique<LimitTable>(settings_.limits.table_size, random_.next());
  return true;
}

bool Node::open_control(std::string* why) {
  parts_ = std::unique_ptr<NodeParts>(new NodeParts{.name = settings_.node.name,
                                                    .store = *store_,
                                                    .coalescer = coalescer_,
                                                    .limits = *limits_,
                                                    .metrics = proxy_metrics_});
  if (settings_.tier) {
    if (!settings_.tier->token_file.empty()) {
      std::optional<std::string> token = read_token_file(settings_.tier->token_file, why);
      if (!token) {
        *why = "tier.token_file: " + *why;
        return false;
      }
      parts_->tier_token = std::move(*token);
    }
    parts_->tier_by_certificate = !settings_.tier->client_ca.empty();
  }
  purged_->set_boot(journal_ == nullptr ? 0 : journal_->loaded().boot);
  for (const auto& [name, site] : loaded_->purge_sites) purged_->add_site(site.id, name);
  if (!settings_.control) {
    if (!keep_local_invalidations(why)) return false;
    purged_->start_without_log();
    return true;
  }
  Result<std::shared_ptr<purge::ServiceLink>> link = purge::ServiceLink::make(
      {settings_.control->url, settings_.control->token_file, settings_.control->ca}, why);
  if (!link.ok()) {
    *why = "control: " + *why;
    return false;
  }
  feed_ = std::make_unique<PurgeFeed>(
      PurgeFeed::Parts{loop_, random_, *purged_, journal_.get(), registry_,
                       [this] {
                         exit_code_ = 1;
                         log::error("another live process has this node's name: leaving");
                         stop("the name is taken");
                       },
                       [this] { begin_to_serve(); }},
      *link, report());
  feed_->set_sites(loaded_->purge_sites);
  if (!feed_->load_journal(why)) return false;
  parts_->keep_local = [feed = feed_.get()](const PurgeChanges& changes) {
    feed->keep_local(changes);
  };
  return true;
}

// Without a purge service the journal still has what unsafe methods invalidated: the disk holds
// copies that are older.
bool Node::keep_local_invalidations(std::string* why) {
  if (journal_ == nullptr || !journal_->opened()) return true;
  const Result<PurgeChanges> loaded = journal_->load_table();
  if (!loaded.ok()) {
    *why = "disk.path: the purge journal: " + describe(loaded.error());
    return false;
  }
  (void)purged_->load(*loaded);
  journal_executor_ = std::make_unique<Executor>("purge-journal", 1, 100'000);
  parts_->keep_local = [executor = journal_executor_.get(),
                        journal = journal_.get()](const PurgeChanges& changes) {
    (void)executor->submit([journal, kept = PurgeJournal::changes_of(changes, {})] {
      (void)journal->apply_later(kept);
    });
  };
  return true;
}

// --- what a reload makes anew

void Node::reload(ReloadTurns::Done done) {
  if (flags_.config.empty()) return done("this node was started without a file");
  reloads_.ask(std::move(done));
}

void Node::read_again() {
  (void)net::sd_notify_reloading();
  const Status queued = executor_.submit([this] {
    Diagnostics diagnostics;
    EdgeSettings settings;
    std::shared_ptr<const Loaded> loaded;
    if (load_edge_settings(flags_, settings, diagnostics)) {
      loaded = load(std::move(settings), site_ids_, diagnostics);
    }
    std::string wrong;
    for (const std::string& error : diagnostics.errors()) {
      wrong += (wrong.empty() ? "" : "\n") + error;
    }
    loop_.post([this, loaded, wrong] {
      reload_error_ = wrong;
      if (loaded == nullptr) {
        log::error("the new settings are wrong, the running ones are kept: " + wrong);
      } else {
        use(loaded);
        log::info("settings reloaded");
      }
      (void)net::sd_notify("READY=1");
      reloads_.over(wrong);
    });
  });
  if (queued.ok()) return;
  reload_error_ = describe(queued.error());
  log::error("a reload cannot begin: " + reload_error_);
  (void)net::sd_notify("READY=1");
  reloads_.over(reload_error_);
}

void Node::use(std::shared_ptr<const Loaded> loaded) {
  loaded_ = std::move(loaded);
  ++generation_;
  loaded_at_ = clock_.wall();
  if (admin_ != nullptr) admin_->set_token(loaded_->admin_token);
  if (feed_ != nullptr) {
    feed_->set_sites(loaded_->purge_sites);
    feed_->set_report(report());
  } else {
    for (const auto& [name, site] : loaded_->purge_sites) purged_->add_site(site.id, name);
  }
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->loop->loop().post([this, raw = thread.get(), loaded = loaded_] {
      raw->worker->set_snapshot(loaded->snapshot);
      for (size_t i = 0; i < raw->entries.size(); ++i) {
        const ListenSettings& listen = settings_.listen[i];
        raw->entries[i].entrance->set_facts({listen.tier, listen.tls ? loaded->tls : nullptr});
        raw->entries[i].server->set_options(server_options(listen, *loaded));
      }
    });
  }
}

http::ServerOptions Node::server_options(const ListenSettings& listen, const Loaded& loaded) const {
  const ClientSettings& clients = loaded.settings.clients;
  http::ServerOptions options;
  http::ServerLimits& limits = options.limits;
  limits.header_timeout = clients.header_timeout;
  limits.body_timeout = clients.body_timeout;
  limits.send_timeout = clients.send_timeout;
  limits.idle_timeout = clients.idle_timeout;
  limits.max_header_size = clients.max_header_size;
  limits.max_headers = clients.max_headers;
  limits.max_uri = clients.max_uri;
  limits.max_body_size = clients.max_body_size;
  for (const SiteSettings& site : loaded.settings.sites) {
    limits.max_body_size = std::max(limits.max_body_size, site.max_body_size);
  }
  const size_t workers = worker_fds_.size();
  const auto share = [workers](size_t all) { return all == 0 ? 0 : (all + workers - 1) / workers; };
  limits.max_connections = share(clients.max_connections);
  limits.max_connections_per_client = share(clients.max_connections_per_client);
  if (listen.tls) options.tls = loaded.tls;
  options.proxy_protocol = listen.proxy_protocol;
  options.proxy_trusted = loaded.snapshot->client_address.trusted;
  return options;
}

// --- life

void Node::start_workers() {
  for (size_t i = 0; i < worker_fds_.size(); ++i) {
    auto thread = std::make_unique<Thread>();
    thread->random = std::make_unique<SeededRandom>(random_.next());
    thread->loop = std::make_unique<net::LoopThread>("worker", clock_);
    Thread* raw = thread.get();
    AccessSink* sink = access_log_ == nullptr ? nullptr : &access_log_->sink(i);
    raw->loop->run_and_wait([&] {
      raw->worker = std::make_unique<Worker>(raw->loop->loop(), *parts_, *raw->random, sink,
                                             loaded_->snapshot);
      for (const ListenSettings& listen : settings_.listen) {
        Entry entry;
        entry.entrance = std::make_unique<Entrance>(
            *raw->worker, Entrance::Facts{listen.tier, listen.tls ? loaded_->tls : nullptr});
        entry.server = std::make_unique<http::Server>(raw->loop->loop(), *entry.entrance,
                                                      server_options(listen, *loaded_));
        raw->entries.push_back(std::move(entry));
      }
    });
    threads_.push_back(std::move(thread));
  }
}

void Node::begin_to_serve() {
  if (serving_ || stopping_) return;
  serving_ = true;
  if (serve_timer_ != nullptr) serve_timer_->cancel();
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread* raw = threads_[i].get();
    // This runs on the control loop, which may not wait; the sockets listen already.
    raw->loop->loop().post([raw, fds = worker_fds_[i]] {
      for (size_t l = 0; l < raw->entries.size(); ++l) {
        http::Server* server = raw->entries[l].server.get();
        raw->entries[l].listener = std::make_unique<net::Listener>(
            raw->loop->loop(), fds[l],
            [server](int fd, const net::Address& peer) { server->accept(fd, peer); });
      }
    });
  }
  for (size_t l = 0; l < sockets_.size(); ++l) {
    net::tell_listening(sockets_[l].address, settings_.listen[l].tls ? "https" : "http");
  }
  (void)net::sd_notify("READY=1");
}

void Node::run() {
  signals_ = std::make_unique<net::Signals>(
      loop_, std::initializer_list<int>{SIGTERM, SIGINT, SIGHUP, SIGUSR1},
      [this](int number) { signal(number); });
  if (admin_ != nullptr) admin_->tell_ready();
  look_up_timer_ = std::make_unique<net::Timer>(loop_, [this] { look_up_names(); });
  look_up_timer_->arm(kLookUpAgain);
  if (feed_ == nullptr) {
    begin_to_serve();
  } else {
    serve_timer_ = std::make_unique<net::Timer>(loop_, [this] {
      log::warning("the purge service didn't answer within lag_limit: serving as sites say on lag");
      begin_to_serve();
    });
    serve_timer_->arm(settings_.control->lag_limit);
    feed_->start();
  }
  loop_.run();
}

// One at a time: a resolver that hangs may not fill the queue that reloads wait in.
void Node::look_up_names() {
  const Status queued = executor_.submit([this, upstreams = loaded_->upstreams] {
    upstreams->look_up_again();
    loop_.post([this] { look_up_timer_->arm(kLookUpAgain); });
  });
  if (!queued.ok()) look_up_timer_->arm(kLookUpAgain);
}

void Node::signal(int number) {
  switch (number) {
    case SIGHUP:
      reload([](std::string) {});
      return;
    case SIGUSR1:
      if (access_log_ != nullptr) access_log_->reopen();
      return;
    default:
      stop(number == SIGTERM ? "SIGTERM" : "SIGINT");
      return;
  }
}

void Node::stop(const std::string& reason) {
  if (stopping_) {
    loop_.stop();  // asked twice: at once
    return;
  }
  stopping_ = true;
  log::info("stopping: " + reason);
  (void)net::sd_notify("STOPPING=1");
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->loop->loop().post([raw = thread.get()] {
      for (Entry& entry : raw->entries) {
        entry.listener.reset();
        entry.server->drain();
      }
    });
  }
  drain_until_ = loop_.now() + settings_.node.drain_timeout;
  drain_timer_ = std::make_unique<net::Timer>(loop_, [this] { look_whether_drained(); });
  if (feed_ != nullptr) {
    feed_->leave([this] { drain_timer_->arm(kDrainLook); });
  } else {
    drain_timer_->arm(Duration::zero());
  }
}

void Node::look_whether_drained() {
  struct Round {
    size_t out = 0;
    int busy = 0;
  };
  auto round = std::make_shared<Round>();
  round->out = threads_.size();
  for (const std::unique_ptr<Thread>& thread : threads_) {
    thread->loop->loop().post([this, raw = thread.get(), round] {
      int busy = 0;
      for (const Entry& entry : raw->entries) busy += entry.server->empty() ? 0 : 1;
      loop_.post([this, round, busy] {
        round->busy += busy;
        if (--round->out > 0) return;
        if (round->busy == 0 || loop_.now() >= drain_until_) {
          loop_.stop();
        } else {
          drain_timer_->arm(kDrainLook);
        }
      });
    });
  }
}

// --- what it says of itself

bool Node::in_lag() const {
  return settings_.control && purged_->lag(clock_.mono()) > settings_.control->lag_limit;
}

http::Readiness Node::readiness() const {
  http::Readiness readiness;
  readiness.ready = false;
  if (stopping_) {
    readiness.reason = "draining";
    return readiness;
  }
  if (!serving_) {
    readiness.reason = "catching_up";
    return readiness;
  }
  if (in_lag()) {
    if (settings_.node.unready_on_lag) {
      readiness.reason = "lag";
      return readiness;
    }
    readiness.degraded.push_back("log_lag");
  }
  if (disk_ != nullptr && disk_->state() != DiskState::ok) readiness.degraded.push_back("disk");
  if (!reload_error_.empty()) readiness.degraded.push_back("config");
  readiness.ready = true;
  return readiness;
}

purge::NodeReport Node::report() const {
  purge::NodeReport report;
  report.name = settings_.node.name;
  report.instance = std::to_string(started_.ns) + '-' + std::to_string(::getpid());
  report.pop = settings_.node.pop;
  report.role = settings_.node.role == Role::shield ? "shield" : "edge";
  report.addresses = settings_.control->advertise;
  if (report.addresses.empty()) {
    for (const net::ListenSocket& socket : sockets_) {
      if (!socket.address.loopback()) report.addresses.push_back(socket.address.text());
    }
  }
  report.lag_limit_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(settings_.control->lag_limit).count();
  for (const SiteSettings& site : loaded_->settings.sites) {
    report.sites[site.name] = site.on_lag == OnLag::revalidate ? "revalidate"
                              : site.on_lag == OnLag::serve    ? "serve"
                                                               : "fail";
  }
  return report;
}

}  // namespace bw::edge
