// PurgeFeed: applies the log to this node: table, then journal, then the position is acknowledged.
//
//   LogFollower -> on_records -> PurgedSince (1 entries, 2 last_seq, 3 applied)
//               -> executor: PurgeJournal (4) -> set_applied, the receipt (5)
//
// Threads: its loop's, but keep_local(); the journal on an executor of one thread, in order.
// Errors: a journal that fails stops acknowledging, the node then lags, visibly; after 1 s,
// doubling to 8 s, it is opened anew and the whole table written. Bounds: 1024 sites that are only
// in the log; purges of further ones are passed over, as a site that is served later begins at the
// position applied by then.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/executor.h"
#include "core/base/metrics.h"
#include "core/net/loop.h"
#include "edge/cache/purge_journal.h"
#include "edge/cache/purged_since.h"
#include "edge/node/purge_mapping.h"
#include "purge/client/follower.h"

namespace bw::edge {

class PurgeFeed final : public purge::FollowerEvents {
 public:
  struct Parts {
    net::Loop& loop;
    Random& random;
    PurgedSince& purged;
    PurgeJournal* journal;  // null: memory only
    metrics::Registry& metrics;
    std::function<void()> name_taken;
    std::function<void()> caught_up;  // once
  };
  PurgeFeed(Parts parts, std::shared_ptr<purge::ServiceLink> link, purge::NodeReport report);
  ~PurgeFeed() override;

  // What sites are called and how they key; before start() and at each reload.
  void set_sites(std::map<std::string, PurgeSite> sites);
  // Fills the table from the journal, after set_sites(); blocks. Nothing to load: the table begins
  // at the log's end. `why` receives a line for people.
  bool load_journal(std::string* why);
  void set_report(purge::NodeReport report);
  void start();
  // Says goodbye to the service; `done` runs on the loop.
  void leave(Task done);

  // What it counts; declared by the constructor.
  static metrics::Family<metrics::Counter>& declare(metrics::Registry& registry);

  bool caught_up() const { return told_caught_up_; }
  std::optional<purge::LogPoint> acknowledged() const { return follower_->applied(); }
  bool journal_failed() const { return told_failure_; }
  // Keeps a local invalidation, unsynced. Any thread.
  void keep_local(const PurgeChanges& changes);

 private:
  void on_records(std::span<const purge::Record> records) override;
  void on_reset(const purge::LogPoint& point) override;
  void on_digest(const purge::LogPoint& end) override;
  void on_echo() override;
  void on_name_taken() override;

  // Of a site that isn't served here; 0: there are too many.
  uint32_t foreign_site(const std::string& name);
  void acknowledge(PurgeChanges changes, const purge::LogPoint& point, bool clear);
  PurgeJournal::Changes journalled(const PurgeChanges& changes, const purge::LogPoint& point);
  // How a batch of the journal went, on the loop.
  void written(const Status& status, const std::optional<purge::LogPoint>& point, uint64_t life);
  void fail_journal(const Status& status);
  // Puts the whole table in the place of a journal that failed.
  void write_anew();
  void look_whether_caught_up();

  Parts parts_;
  metrics::Family<metrics::Counter>& applied_total_;
  std::map<std::string, PurgeSite> sites_;
  std::map<uint32_t, std::string> names_;
  uint32_t next_foreign_ = kMaxSites - 1;
  std::unique_ptr<purge::LogFollower> follower_;
  bool told_caught_up_ = false;
  std::optional<purge::LogPoint> newest_;  // applied to the table, perhaps not yet to the journal
  bool journal_failed_ = false;
  bool told_failure_ = false;
  uint64_t life_ = 0;  // of the journal: what was queued before a failure isn't asked any more
  Duration retry_wait_{};
  net::Timer retry_;
  std::shared_ptr<PurgeFeed*> self_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace bw::edge
