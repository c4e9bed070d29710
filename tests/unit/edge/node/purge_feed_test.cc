// PurgeFeed without a service: what comes is applied, journalled, and only then acknowledged.
#include "edge/node/purge_feed.h"

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>

#include "tests/support/temp_dir.h"

using namespace bw;
using namespace bw::edge;

namespace {

struct FeedRig {
  test::TempDir dir;
  ManualClock clock;
  net::Loop loop{clock};
  SeededRandom random{1};
  std::unique_ptr<bw::metrics::Registry> metrics;
  std::atomic<int> fault{0};
  std::unique_ptr<PurgeJournal> journal;
  std::unique_ptr<PurgedSince> purged;
  std::unique_ptr<PurgeFeed> feed;
  purge::LogPoint at;

  void start() {
    std::string why;
    journal = *PurgeJournal::open(dir / "journal", &why, 1, [this] { return fault.load(); });
    metrics = std::make_unique<bw::metrics::Registry>();
    purged = std::make_unique<PurgedSince>(1 << 20);
    PurgeFeed::Parts parts{loop, random, *purged, journal.get(), *metrics, [] {}, [] {}};
    feed = std::make_unique<PurgeFeed>(
        std::move(parts), *purge::ServiceLink::make({.url = "http://127.0.0.1:1"}, &why),
        purge::NodeReport{});
    feed->set_sites({{"shop", PurgeSite{0, {KeyRules{}}}}});
    REQUIRE(feed->load_journal(&why));
  }
  void end() {
    feed.reset();
    purged.reset();
    journal.reset();
    loop.turn(false);
  }
  purge::FollowerEvents& events() { return *feed; }
  void reset(uint64_t sequence) {
    at.position = purge::Position::of(1, sequence);
    events().on_reset(at);
  }
  void purge_tag(const std::string& tag) {
    purge::Record record;
    record.site = "shop";
    record.text = tag;
    record.position = purge::Position::of(1, at.position.sequence() + 1);
    at.position = record.position;
    events().on_records({&record, 1});
  }
  void until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done() && std::chrono::steady_clock::now() < end) {
      clock.advance(std::chrono::milliseconds(10));
      loop.turn(false);
    }
    REQUIRE(done());
  }
};

}  // namespace

TEST_CASE(
    "[promise-1] purge feed: a journal that failed is written anew, with all that came meanwhile") {
  FeedRig rig;
  rig.start();
  rig.reset(1);
  rig.purge_tag("before");
  rig.until([&] { return rig.feed->acknowledged() == rig.at; });
  rig.fault = ENOSPC;
  rig.purge_tag("first");
  rig.until([&] { return rig.feed->journal_failed(); });
  rig.purge_tag("second");
  for (int i = 0; i < 500; ++i) {
    rig.clock.advance(std::chrono::milliseconds(10));
    rig.loop.turn(false);
  }
  CHECK_FALSE(rig.feed->acknowledged() == rig.at);
  rig.fault = 0;
  rig.until([&] { return rig.feed->acknowledged() == rig.at; });
  rig.purge_tag("third");
  rig.until([&] { return rig.feed->acknowledged() == rig.at; });
  const size_t bytes = rig.purged->bytes();
  rig.end();
  rig.start();
  CHECK(rig.journal->loaded().position->position == rig.at.position.value);
  CHECK(rig.purged->bytes() == bytes);
  CHECK(rig.purged->read(0).last_seq == rig.at.position.value);
  rig.end();
}
