// What a node tells of itself: /v1/status, and the metrics of what lives beside the proxy.
#include "core/text/json.h"
#include "edge/node/node.h"

namespace bw::edge {

using text::Json;

std::string Node::status_body() const {
  Json body = Json::object();
  body.set("name", settings_.node.name).set("pop", settings_.node.pop);
  body.set("role", settings_.node.role == Role::shield ? "shield" : "edge");
  body.set("version", BW_VERSION);
  body.set("uptime_s", (clock_.mono() - started_).count() / 1'000'000'000);
  body.set("degraded", Json::strings(readiness().degraded));

  Json config = Json::object();
  config.set("generation", static_cast<int64_t>(generation_));
  config.set("loaded_at", loaded_at_.seconds());
  config.set("error", reload_error_.empty() ? Json() : Json(reload_error_));
  body.set("config", std::move(config));

  Json control = Json::object();
  const bool lagging = in_lag();
  control.set("state", feed_ == nullptr      ? "off"
                       : !feed_->caught_up() ? "catching_up"
                       : lagging             ? "lagging"
                                             : "following");
  control.set("applied", position_text(purged_->applied()));
  control.set("lag_ms", purged_->lag(clock_.mono()).count() / 1'000'000);
  body.set("control", std::move(control));

  Json memory = Json::object();
  const MemoryTier& tier = store_->memory();
  memory.set("size", static_cast<int64_t>(tier.size()));
  memory.set("used", static_cast<int64_t>(tier.used()));
  memory.set("objects", static_cast<int64_t>(tier.objects()));
  Json tables = Json::object();
  tables.set("purge", static_cast<int64_t>(purged_->bytes()));
  tables.set("limits", static_cast<int64_t>(limits_->bytes()));
  tables.set("geo", static_cast<int64_t>(loaded_->snapshot->locator == nullptr
                                             ? 0
                                             : loaded_->snapshot->locator->bytes()));
  memory.set("tables", std::move(tables));
  body.set("memory", std::move(memory));

  Json disk = Json::object();
  if (disk_ == nullptr) {
    disk.set("state", "off").set("size", 0).set("used", 0).set("objects", 0);
  } else {
    const DiskCounters counters = disk_->counters();
    disk.set("state", to_text(disk_->state()));
    disk.set("size", static_cast<int64_t>(counters.size));
    disk.set("used", static_cast<int64_t>(counters.used));
    disk.set("objects", static_cast<int64_t>(counters.objects));
  }
  body.set("disk", std::move(disk));

  Json tiers = Json::array();
  if (loaded_->snapshot->shields != nullptr) {
    for (const MemberStatus& member : loaded_->snapshot->shields->status(clock_.mono())) {
      Json one = Json::object();
      one.set("url", member.address).set("state", member.state);
      tiers.push(std::move(one));
    }
  }
  body.set("tiers", std::move(tiers));

  Json upstreams = Json::array();
  for (const auto& [name, group] : loaded_->snapshot->groups) {
    for (const MemberStatus& member : group->status(clock_.mono())) {
      Json one = Json::object();
      one.set("site", name.first).set("group", name.second);
      one.set("address", member.address).set("state", member.state);
      one.set("inflight", static_cast<int64_t>(member.inflight));
      one.set("ewma_ms", static_cast<int64_t>(member.ewma_ms));
      upstreams.push(std::move(one));
    }
  }
  body.set("upstreams", std::move(upstreams));
  Json limits = Json::array();
  for (const std::shared_ptr<const Site>& site : loaded_->snapshot->sites->sites()) {
    for (const std::shared_ptr<const LimitRule>& rule : site->limits) {
      Json one = Json::object();
      one.set("site", site->name).set("name", rule->name);
      one.set("mode", rule->shadow ? "shadow" : "enforce");
      limits.push(std::move(one));
    }
  }
  body.set("limits", std::move(limits));
  body.set("tls", Json::object().set("ktls", false));
  return body.dump();
}

void Node::declare_metrics() {
  using metrics::Kind;
  using metrics::Sample;
  registry_.ask(Kind::gauge, "breakwater_memory_bytes", "bytes held by each named table", {"part"},
                [this] {
                  const auto bytes = [](auto value) { return static_cast<double>(value); };
                  return std::vector<Sample>{{{"cache"}, bytes(store_->memory().used())},
                                             {{"purge"}, bytes(purged_->bytes())},
                                             {{"limits"}, bytes(limits_->bytes())}};
                });
  registry_.ask(Kind::gauge, "breakwater_memory_objects", "objects in the memory tier", {}, [this] {
    return std::vector<Sample>{{{}, static_cast<double>(store_->memory().objects())}};
  });
  registry_.ask(Kind::counter, "breakwater_memory_evictions_total",
                "objects that the memory tier let go for others", {}, [this] {
                  return std::vector<Sample>{{{}, static_cast<double>(store_->memory().evicted())}};
                });
  registry_.ask(
      Kind::gauge, "breakwater_fill_bytes",
      "bytes of bodies on their way, held for the store or for readers that lag: part "
      "of memory.size",
      {}, [this] {
        return std::vector<Sample>{{{}, static_cast<double>(store_->memory().reserved())}};
      });
  registry_.ask(Kind::gauge, "breakwater_disk_state",
                "of the disk tier: 0 off, 1 ok, 2 full, 3 failed", {}, [this] {
                  const int state = disk_ == nullptr ? 0 : static_cast<int>(disk_->state());
                  return std::vector<Sample>{{{}, static_cast<double>(state)}};
                });
  registry_.ask(Kind::gauge, "breakwater_disk_objects", "objects in the disk tier", {}, [this] {
    const uint64_t objects = disk_ == nullptr ? 0 : disk_->counters().objects;
    return std::vector<Sample>{{{}, static_cast<double>(objects)}};
  });
  registry_.ask(Kind::counter, "breakwater_disk_checksum_failures_total",
                "stored bytes that failed their checksum: a miss each", {}, [this] {
                  const uint64_t failed =
                      disk_ == nullptr ? 0 : disk_->counters().checksum_failures;
                  return std::vector<Sample>{{{}, static_cast<double>(failed)}};
                });
  registry_.ask(Kind::gauge, "breakwater_purge_lag_seconds",
                "since the last echo of the purge log was sent", {}, [this] {
                  const Duration lag = purged_->lag(clock_.mono());
                  return std::vector<Sample>{{{}, static_cast<double>(lag.count()) / 1e9}};
                });
  registry_.ask(Kind::counter, "breakwater_log_dropped_total",
                "lines of the access log that a full spool couldn't take", {}, [this] {
                  const uint64_t lines = access_log_ == nullptr ? 0 : access_log_->dropped();
                  return std::vector<Sample>{{{}, static_cast<double>(lines)}};
                });
}

std::string Node::metrics_markdown() {
  ManualClock clock;
  SeededRandom random(1);
  Node node({}, {}, clock, random);
  node.declare_metrics();
  (void)PurgeFeed::declare(node.registry_);
  return metrics::markdown("Edge and shield", node.registry_);
}

}  // namespace bw::edge
