#include "edge/node/purge_feed.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace bw::edge {
namespace {

constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr Duration kLastRetry = std::chrono::seconds(8);

}  // namespace

PurgeFeed::PurgeFeed(Parts parts, std::shared_ptr<purge::ServiceLink> link,
                     purge::NodeReport report)
    : parts_(std::move(parts)),
      applied_total_(declare(parts_.metrics)),
      retry_(parts_.loop, [this] { write_anew(); }),
      self_(std::make_shared<PurgeFeed*>(this)),
      executor_(std::make_unique<Executor>("purge-journal", 1, 100'000)) {
  purge::LogFollower::Options options;
  options.link = std::move(link);
  options.report = std::move(report);
  if (parts_.journal != nullptr && parts_.journal->loaded().position) {
    const PurgePosition& position = *parts_.journal->loaded().position;
    options.applied = purge::LogPoint{{position.position}, position.chain};
  }
  follower_ = std::make_unique<purge::LogFollower>(parts_.loop, parts_.random, executor_.get(),
                                                   std::move(options), *this);
}

metrics::Family<metrics::Counter>& PurgeFeed::declare(metrics::Registry& registry) {
  return registry.counter("breakwater_purge_applied_total",
                          "records of the invalidation log that were applied", {"kind"});
}

PurgeFeed::~PurgeFeed() {
  *self_ = nullptr;
  follower_.reset();
  executor_.reset();
}

void PurgeFeed::set_sites(std::map<std::string, PurgeSite> sites) {
  for (const auto& [name, site] : sites) {
    parts_.purged.add_site(site.id, name);
    names_[site.id] = name;
  }
  sites_ = std::move(sites);
}

bool PurgeFeed::load_journal(std::string* why) {
  if (parts_.journal == nullptr || !parts_.journal->loaded().position) return true;
  const Result<PurgeChanges> loaded = parts_.journal->load_table();
  if (!loaded.ok()) {
    *why = "disk.path: the purge journal: " + describe(loaded.error());
    return false;
  }
  const PurgeChanges begun = parts_.purged.load(*loaded);
  if (begun.sites.empty()) return true;
  const PurgePosition& at = *parts_.journal->loaded().position;
  if (const Status kept = parts_.journal->apply(PurgeJournal::changes_of(begun, at.chain));
      !kept.ok()) {
    *why = "disk.path: the purge journal: " + describe(kept.error());
    return false;
  }
  return true;
}

void PurgeFeed::set_report(purge::NodeReport report) { follower_->set_report(std::move(report)); }

void PurgeFeed::start() {
  if (parts_.journal != nullptr && !parts_.journal->opened()) {
    fail_journal(
        {Error{.kind = Error::Kind::io, .side = Error::Side::storage, .text = "not opened yet"}});
  }
  follower_->start();
}

void PurgeFeed::leave(Task done) { follower_->leave(std::move(done)); }

uint32_t PurgeFeed::foreign_site(const std::string& name) {
  for (const auto& [id, known] : names_) {
    if (known == name) return id;
  }
  if (next_foreign_ < kMaxServedSites) return 0;
  const uint32_t id = next_foreign_--;
  if (next_foreign_ < kMaxServedSites) {
    log::warning("the purge log has too many sites that aren't served here: " + name +
                 " is the last whose purges are remembered");
  }
  parts_.purged.add_site(id, name);
  names_[id] = name;
  return id;
}

void PurgeFeed::on_records(std::span<const purge::Record> records) {
  std::vector<Purge> purges;
  purges.reserve(records.size());
  for (const purge::Record& record : records) {
    applied_total_.with({purge::to_text(record.kind)}).add();
    if (record.kind == purge::Kind::epoch) continue;
    const auto known = sites_.find(record.site);
    if (known != sites_.end()) {
      map_record(record, known->second, purges);
    } else if (const uint32_t id = foreign_site(record.site); id != 0) {
      map_record(record, {id, {}}, purges);
    }
  }
  const purge::LogPoint point{records.back().position, records.back().chain};
  acknowledge(parts_.purged.apply(purges, point.position.value), point, false);
}

// No place on a complete history: everything older than `point` counts as purged.
void PurgeFeed::on_reset(const purge::LogPoint& point) {
  if (parts_.purged.started()) {
    log::warning("the purge table isn't on the log's history: what is older than " +
                 point.position.text() + " counts as purged");
  } else {
    log::info("the purge table begins at " + point.position.text());
  }
  acknowledge(parts_.purged.start_at(point.position.value), point, true);
}

void PurgeFeed::acknowledge(PurgeChanges changes, const purge::LogPoint& point, bool clear) {
  newest_ = point;
  // A batch behind one that is missing would say that nothing is.
  if (journal_failed_) return;
  const auto done = [loop = &parts_.loop, self = self_, point, life = life_](Status status) {
    loop->post([self, point, life, status] {
      if (*self != nullptr) (*self)->written(status, point, life);
    });
  };
  if (parts_.journal == nullptr) {
    done({});
    return;
  }
  const Status queued =
      executor_->submit([journal = parts_.journal, all = journalled(changes, point), clear, done] {
        Status status;
        if (clear) status = journal->clear();
        if (status.ok()) status = journal->apply(all);
        done(status);
      });
  if (!queued.ok()) fail_journal(queued);
}

void PurgeFeed::written(const Status& status, const std::optional<purge::LogPoint>& point,
                        uint64_t life) {
  if (life != life_) return;
  if (!status.ok()) return fail_journal(status);
  if (point) follower_->set_applied(*point);
  look_whether_caught_up();
}

void PurgeFeed::fail_journal(const Status& status) {
  if (!told_failure_) {
    log::error("the purge journal cannot be written, purges are no longer acknowledged: " +
               describe(status.error()));
  }
  told_failure_ = true;
  journal_failed_ = true;
  ++life_;
  retry_wait_ =
      retry_wait_ == Duration::zero() ? kFirstRetry : std::min(retry_wait_ * 2, kLastRetry);
  retry_.arm(retry_wait_);
}

void PurgeFeed::write_anew() {
  journal_failed_ = false;
  // The table is read by the job: it holds `newest_` and perhaps more, which does no harm.
  const Status queued =
      executor_->submit([loop = &parts_.loop, self = self_, life = life_, journal = parts_.journal,
                         purged = &parts_.purged, point = newest_] {
        PurgeChanges table = purged->snapshot();
        table.position = 0;
        PurgeJournal::Changes all = PurgeJournal::changes_of(table, {});
        if (point) all.position = PurgePosition{point->position.value, point->chain};
        const Status status = journal->replace(all);
        loop->post([self, status, point, life] {
          PurgeFeed* feed = *self;
          if (feed == nullptr) return;
          if (status.ok() && life == feed->life_) {
            log::info("the purge journal is written again");
            feed->told_failure_ = false;
            feed->retry_wait_ = {};
          }
          feed->written(status, point, life);
        });
      });
  if (!queued.ok()) fail_journal(queued);
}

PurgeJournal::Changes PurgeFeed::journalled(const PurgeChanges& changes,
                                            const purge::LogPoint& point) {
  PurgeJournal::Changes out = PurgeJournal::changes_of(changes, point.chain);
  out.position = PurgePosition{point.position.value, point.chain};
  return out;
}

// From any loop; not waited for: a crash of the process loses nothing, of the machine the last
// ones.
void PurgeFeed::keep_local(const PurgeChanges& changes) {
  if (parts_.journal == nullptr) return;
  (void)executor_->submit([journal = parts_.journal, kept = PurgeJournal::changes_of(changes, {})] {
    // An error of the journal is told by the next batch of the log.
    (void)journal->apply_later(kept);
  });
}

void PurgeFeed::on_digest(const purge::LogPoint&) { look_whether_caught_up(); }

void PurgeFeed::on_echo() {
  if (const std::optional<Duration> lag = follower_->lag()) {
    parts_.purged.set_echo(parts_.loop.now() - *lag);
  }
  look_whether_caught_up();
}

void PurgeFeed::look_whether_caught_up() {
  if (told_caught_up_ || !follower_->caught_up()) return;
  told_caught_up_ = true;
  parts_.caught_up();
}

void PurgeFeed::on_name_taken() { parts_.name_taken(); }

}  // namespace bw::edge
