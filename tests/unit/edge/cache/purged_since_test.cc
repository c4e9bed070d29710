#include "edge/cache/purged_since.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "edge/cache/purge_journal.h"
#include "edge/cache/tags.h"
#include "tests/support/temp_dir.h"

using namespace bw::edge;
using namespace bw;

namespace {

constexpr size_t kBudget = 1 << 20;

SitePolicy policy(uint32_t site = 1) {
  SitePolicy p;
  p.site = site;
  p.name = "shop" + std::to_string(site);
  return p;
}

Ref<Object> object_at(const char* target, Position pos,
                      std::initializer_list<const char*> tags = {}, uint32_t site = 1,
                      uint64_t local = 0) {
  http::RequestHead head;
  head.method = "GET";
  head.scheme = "https";
  head.authority = "h.example";
  head.target = target;
  ObjectMeta meta;
  meta.key = make_key(policy(site), head);
  meta.variant = meta.key.hash;
  meta.pos = pos;
  meta.local = local;
  for (const char* tag : tags) meta.tags.push_back(tag_hash(tag));
  return Ref<Object>(new Object(meta, std::vector<Slice>()));
}

Purge purge_of(PurgeKind kind, Position position, PurgeMode mode = PurgeMode::hard) {
  Purge purge;
  purge.site = 1;
  purge.kind = kind;
  purge.mode = mode;
  purge.position = position;
  return purge;
}

Purge tag(const char* name, Position position, PurgeMode mode = PurgeMode::hard) {
  Purge purge = purge_of(PurgeKind::tag, position, mode);
  purge.key = {0, tag_hash(name)};
  return purge;
}

Purge prefix(const char* host, const char* path, Position position, bool bytes = false) {
  Purge purge = purge_of(bytes ? PurgeKind::byte_prefix : PurgeKind::prefix, position);
  purge.host = host;
  purge.path = path;
  return purge;
}

PurgeChanges apply(PurgedSince& table, std::vector<Purge> purges) {
  return table.apply(purges, purges.back().position);
}

std::unique_ptr<PurgedSince> started(size_t budget = kBudget, Position at = 1) {
  auto table = std::make_unique<PurgedSince>(budget);
  table->add_site(1, "shop1");
  table->add_site(2, "shop2");
  table->start_at(at);
  return table;
}

PurgeVerdict find(const PurgedSince& table, const Ref<Object>& object) {
  return table.find(table.read(object->meta().key.site), *object);
}

}  // namespace

TEST_CASE("purged_since: each kind hits what it names and nothing else") {
  const SitePolicy p = policy();
  struct Row {
    Purge purge;
    const char* target;
    bool hit;
  };
  const auto with = [](PurgeKind kind, Hash128 key) {
    Purge purge = purge_of(kind, 5);
    purge.key = key;
    return purge;
  };
  const Purge url = with(PurgeKind::url, url_purge_key(p.key, "h.example", "/a", "q=1"));
  const Purge bare = with(PurgeKind::url, url_purge_key(p.key, "h.example", "/a", std::nullopt));
  const Purge any = with(PurgeKind::any_query, any_query_purge_key(p.key, "h.example", "/a"));
  const Row rows[] = {
      {url, "/a?q=1", true},
      {url, "/a?q=2", false},
      {url, "/a", false},
      {bare, "/a", true},
      {bare, "/a?q=1", false},
      {any, "/a", true},
      {any, "/a?q=1", true},
      {any, "/a/b", false},
      {with(PurgeKind::host, host_purge_key("h.example")), "/x", true},
      {with(PurgeKind::host, host_purge_key("i.example")), "/x", false},
      {tag("t", 5), "/x", true},
      {tag("T", 5), "/x", false},
      {prefix("", "/foo", 5), "/foo", true},
      {prefix("", "/foo", 5), "/foo/bar", true},
      {prefix("", "/foo", 5), "/foo/bar?q", true},
      {prefix("", "/foo", 5), "/foobar", false},
      {prefix("", "/foo/", 5), "/foo/bar", true},
      {prefix("", "/foo/", 5), "/foo", false},
      {prefix("", "/", 5), "/anything", true},
      {prefix("h.example", "/foo", 5), "/foo/bar", true},
      {prefix("i.example", "/foo", 5), "/foo/bar", false},
      {prefix("", "/foo", 5, true), "/foobar", true},
      {prefix("", "/foo", 5, true), "/fo", false},
      {purge_of(PurgeKind::site, 5), "/x", true},
      {purge_of(PurgeKind::all, 5), "/x", true},
  };
  for (const Row& row : rows) {
    INFO(static_cast<int>(row.purge.kind) << " " << row.purge.path << " on " << row.target);
    const auto table = started();
    const Ref<Object> object = object_at(row.target, 3, {"t"});
    const Ref<Object> younger = object_at(row.target, 5, {"t"});
    const Ref<Object> elsewhere = object_at(row.target, 3, {"t"}, 2);
    apply(*table, {row.purge});
    CHECK((find(*table, object) == PurgeVerdict::purged) == row.hit);
    CHECK(find(*table, younger) == PurgeVerdict::fresh);
    CHECK((find(*table, elsewhere) == PurgeVerdict::purged) == (row.purge.kind == PurgeKind::all));
  }
}

TEST_CASE("purged_since: prefixes are found among many that aren't") {
  const auto table = started();
  for (int i = 0; i < 500; ++i) {
    apply(*table, {prefix("", ("/a/" + std::to_string(i) + "/b").c_str(), 2)});
    apply(*table, {prefix("", ("/a/b" + std::to_string(i)).c_str(), 2, true)});
  }
  apply(*table, {prefix("", "/a", 7, true), prefix("", "/a/250", 9)});
  CHECK(table->newest(object_at("/a/250/c", 0)->purge_keys()).hard == 9);
  CHECK(table->newest(object_at("/a/2500/c", 0)->purge_keys()).hard == 7);
  CHECK(table->newest(object_at("/b", 0)->purge_keys()).hard == 1);
}

TEST_CASE("purged_since: a soft purge never hides a hard one, and a stale object's pos stays") {
  const auto table = started();
  const Ref<Object> object = object_at("/x", 5, {"t"});
  const Ref<Object> between = object_at("/x", 12, {"t"});
  apply(*table, {tag("t", 10), tag("t", 20, PurgeMode::soft)});
  CHECK(find(*table, object) == PurgeVerdict::purged);
  CHECK(find(*table, between) == PurgeVerdict::soft);
  CHECK(between->pos() == 12);
  CHECK(find(*table, between) == PurgeVerdict::soft);
}

TEST_CASE("purged_since: pos rises to what was read before, not to what came meanwhile") {
  const auto table = started();
  const Ref<Object> object = object_at("/x", 3, {"t"});
  apply(*table, {tag("other", 8)});
  const Seen seen = table->read(1);
  apply(*table, {tag("also", 9)});
  CHECK(table->find(seen, *object) == PurgeVerdict::fresh);
  CHECK(object->pos() == 8);
  apply(*table, {tag("t", 10)});
  CHECK(find(*table, object) == PurgeVerdict::purged);
}

TEST_CASE("purged_since: before its start every find is a miss; afterwards older objects are") {
  PurgedSince table(kBudget);
  table.add_site(1, "shop1");
  const Ref<Object> object = object_at("/x", 99);
  CHECK(find(table, object) == PurgeVerdict::purged);
  CHECK(table.lag(MonoTime{5}) == Duration::max());
  table.start_at(50);
  CHECK(table.applied() == 50);
  CHECK(find(table, object) == PurgeVerdict::fresh);
  CHECK(find(table, object_at("/x", 49)) == PurgeVerdict::purged);
  table.set_echo(MonoTime{4});
  CHECK(table.lag(MonoTime{9}) == Duration(5));
  CHECK(table.lag(MonoTime{2}) == Duration(0));
  // A site that comes later begins where the log stands.
  table.apply({}, 60);
  table.add_site(3, "shop3");
  CHECK(find(table, object_at("/x", 59, {}, 3)) == PurgeVerdict::purged);
  CHECK(find(table, object_at("/x", 60, {}, 3)) == PurgeVerdict::fresh);
  // A reset while it runs.
  table.start_at(make_position(2, 60));
  CHECK(find(table, object_at("/x", 70)) == PurgeVerdict::purged);

  PurgedSince alone(kBudget);
  alone.add_site(1, "shop1");
  alone.start_without_log();
  CHECK(alone.lag(MonoTime{1}) == Duration::zero());
  CHECK(find(alone, object_at("/x", 0)) == PurgeVerdict::fresh);
}

TEST_CASE("purged_since: forgetting is a purge") {
  const auto table = started(40 * 112);
  const Ref<Object> named = object_at("/x", 2, {"t0"});
  const Ref<Object> unnamed = object_at("/y", 2);
  const Ref<Object> neighbour = object_at("/y", 2, {}, 2);
  for (int i = 0; i < 100; ++i) {
    const PurgeChanges changes =
        apply(*table, {tag(("t" + std::to_string(i)).c_str(), static_cast<Position>(3 + i))});
    CHECK(table->bytes() <= 40 * 112);
    for (const auto& entry : changes.entries) {
      if (entry.forgotten) CHECK(changes.sites.back().marks.hard >= 3);
    }
  }
  CHECK(find(*table, named) == PurgeVerdict::purged);
  CHECK(find(*table, unnamed) == PurgeVerdict::purged);   // over-purged, never silence
  CHECK(find(*table, neighbour) == PurgeVerdict::fresh);  // but only its site
  CHECK(find(*table, object_at("/z", 102)) == PurgeVerdict::fresh);
  CHECK(find(*table, object_at("/z", 3, {"t1"})) == PurgeVerdict::purged);
}

TEST_CASE("purged_since: forgetting keeps the mode") {
  const auto table = started(4 * 112);
  for (int i = 0; i < 20; ++i) {
    apply(*table,
          {tag(("t" + std::to_string(i)).c_str(), static_cast<Position>(3 + i), PurgeMode::soft)});
  }
  CHECK(find(*table, object_at("/y", 2)) == PurgeVerdict::soft);
}

TEST_CASE("purged_since: an unsafe method invalidates what began before it, on this node") {
  const auto table = started();
  table->set_boot(3);
  const Ref<Object> object = object_at("/x", 5);
  const Ref<Object> other = object_at("/y", 5);
  table->invalidate_local(1, object->meta().key.purge_hashes().url);
  CHECK(table->read(1).last_local == ((uint64_t{3} << 40) | 1));
  CHECK(find(*table, object) == PurgeVerdict::purged);
  CHECK(find(*table, other) == PurgeVerdict::fresh);
  CHECK(other->local() == table->read(1).last_local);
  CHECK(find(*table, object_at("/x", 5, {}, 1, table->read(1).last_local)) == PurgeVerdict::fresh);
}

TEST_CASE("purged_since: a flood of unsafe methods stays within the budget and is never lost") {
  const auto table = started(40 * 112);
  apply(*table, {tag("t", 5)});
  const Ref<Object> first = object_at("/u0", 9);
  for (int i = 0; i < 200; ++i) {
    const auto changes = table->invalidate_local(
        1, object_at(("/u" + std::to_string(i)).c_str(), 0)->meta().key.purge_hashes().url);
    for (const auto& entry : changes.entries) CHECK(entry.local);
    CHECK(table->bytes() <= 40 * 112);
  }
  CHECK(find(*table, first) == PurgeVerdict::purged);
  CHECK(table->newest(object_at("/", 0, {"t"})->purge_keys()).hard == 5);
}

TEST_CASE("purged_since: the journal brings back table, position and locals") {
  test::TempDir dir;
  std::string why;
  const std::array<uint8_t, 16> chain{7};
  const Ref<Object> posted = object_at("/posted", 5);
  {
    auto journal = PurgeJournal::open(dir / "purged", &why);
    REQUIRE(journal.ok());
    PurgedSince table(kBudget);
    table.set_boot((*journal)->loaded().boot);
    table.add_site(1, "shop1");
    table.add_site(2, "gone");
    const auto write = [&](const PurgeChanges& changes) {
      REQUIRE((*journal)->apply(PurgeJournal::changes_of(changes, chain)).ok());
    };
    write(table.start_at(2));
    write(apply(table, {tag("t", 10), tag("t", 20, PurgeMode::soft), prefix("", "/p", 21)}));
    REQUIRE((*journal)
                ->apply_later(PurgeJournal::changes_of(
                    table.invalidate_local(1, posted->meta().key.purge_hashes().url), chain))
                .ok());
    write(table.apply({}, 25));
  }
  auto journal = PurgeJournal::open(dir / "purged", &why);
  REQUIRE(journal.ok());
  CHECK((*journal)->loaded().position->position == 25);
  auto loaded = (*journal)->load_table();
  REQUIRE(loaded.ok());
  PurgedSince table(kBudget);
  table.set_boot((*journal)->loaded().boot);
  table.add_site(7, "shop1");  // another id than before
  table.add_site(8, "new");
  const PurgeChanges begun = table.load(*loaded);
  CHECK(begun.sites.size() == 1);  // the new one
  CHECK(table.started());
  CHECK(table.applied() == 25);
  CHECK(find(table, object_at("/x", 5, {"t"}, 7)) == PurgeVerdict::purged);
  CHECK(find(table, object_at("/x", 15, {"t"}, 7)) == PurgeVerdict::soft);
  CHECK(find(table, object_at("/p/q", 15, {}, 7)) == PurgeVerdict::purged);
  CHECK(find(table, object_at("/other", 3, {}, 7)) == PurgeVerdict::fresh);
  CHECK(find(table, object_at("/posted", 24, {}, 7)) == PurgeVerdict::purged);
  CHECK(find(table, object_at("/x", 24, {}, 8)) == PurgeVerdict::purged);
  CHECK(find(table, object_at("/x", 25, {}, 8)) == PurgeVerdict::fresh);
  const uint64_t before = table.read(7).last_local;
  table.invalidate_local(7, {1, 1});
  CHECK(table.read(7).last_local > before);
}

TEST_CASE("purged_since: what was forgotten is forgotten on disk, but a younger local stays") {
  test::TempDir dir;
  std::string why;
  auto journal = PurgeJournal::open(dir / "purged", &why);
  REQUIRE(journal.ok());
  PurgedSince table(40 * 112);
  table.add_site(1, "shop1");
  const std::array<uint8_t, 16> chain{};
  const auto write = [&](const PurgeChanges& changes) {
    REQUIRE((*journal)->apply(PurgeJournal::changes_of(changes, chain)).ok());
  };
  write(table.start_at(2));
  for (int i = 0; i < 100; ++i) {
    write(apply(table, {tag(("t" + std::to_string(i)).c_str(), static_cast<Position>(3 + i))}));
  }
  CHECK((*journal)->load_entries()->size() <= 40);

  PurgeJournal::Changes changes;
  changes.entries = {{"k", {0, 0, 5}}};
  REQUIRE((*journal)->apply_later(changes).ok());
  PurgeJournal::Changes forget;
  forget.forgotten_local = {{"k", {0, 0, 4}}};
  REQUIRE((*journal)->apply(forget).ok());
  CHECK((*(*journal)->find("k"))->local == 5);
  forget.forgotten_local = {{"k", {0, 0, 5}}};
  REQUIRE((*journal)->apply(forget).ok());
  CHECK_FALSE((*journal)->find("k")->has_value());
}

TEST_CASE("purged_since: fills are joined, overtaken and left in time") {
  const FillStart fill = fill_start({10, 12, 3}, 0);
  CHECK(fill.start == 10);
  CHECK(fill.need == 12);
  CHECK(fill_start({10, 12, 3}, 20).start == 20);
  CHECK(fill_start({10, 12, 3}, 20).need == 20);
  CHECK(fill_pos(fill, 7) == 7);
  CHECK(fill_pos(fill, 17) == 10);
  CHECK(may_join(fill, 10, {10, 10, 3}));
  CHECK_FALSE(may_join(fill, 11, {}));
  CHECK_FALSE(may_join(fill, 0, {11, 0, 0}));
  CHECK_FALSE(may_join(fill, 0, {0, 11, 0}));
  CHECK_FALSE(may_join(fill, 0, {0, 0, 4}));
  CHECK_FALSE(may_join_head(fill, 7, 8, {}));
  CHECK_FALSE(may_join_head(fill, 7, 0, {8, 0, 0}));
  CHECK(joined(9, 4) == 9);
  CHECK(overtaken(fill, 7, {8, 0, 0}));
  CHECK_FALSE(overtaken(fill, 7, {7, 7, 3}));
  CHECK(must_detach(fill, 7, 8, 0, {}));                     // its own need, whatever is known
  CHECK(must_detach(fill, 7, 0, 9, {8, 0, 0}));              // joined after what fill can't prove
  CHECK_FALSE(must_detach(fill, 7, 0, 7, {8, 0, 0}));        // it came before the purge
  CHECK_FALSE(must_detach(fill, 7, 0, 9, {0, 8, 0}, true));  // stale: hard purges only
  CHECK(must_detach(fill, 7, 0, 9, {8, 0, 0}, true));
}

// Readers, a log and forgetting at once: once a reader has seen `applied` at p, no object that p
// names and that is older is fresh.
TEST_CASE("purged_since: no find is fresh after a purge that it could have seen") {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const auto table = started(30 * 112, 2);
    std::atomic<Position> published{2};
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (uint64_t r = 0; r < 3; ++r) {
      readers.emplace_back([&, r] {
        SeededRandom random(seed * 100 + r);
        while (!done.load(std::memory_order_relaxed)) {
          const Position known = published.load(std::memory_order_acquire);
          const auto t = known % 50;  // the tag that `known` purged
          const Ref<Object> old = object_at("/x", known - 1, {("t" + std::to_string(t)).c_str()});
          const Seen seen = table->read(1);
          if (seen.applied < known) ++wrong;
          if (known > 2 && table->find(seen, *old) == PurgeVerdict::fresh) ++wrong;
          if (old->pos() > known && known > 2) ++wrong;
          if (random.below(8) == 0) std::this_thread::yield();
        }
      });
    }
    std::thread local([&] {
      for (int i = 0; i < 500; ++i) {
        const Ref<Object> url = object_at(("/l" + std::to_string(i % 60)).c_str(), ~Position{0});
        table->invalidate_local(1, url->meta().key.purge_hashes().url);
        if (find(*table, url) == PurgeVerdict::fresh) ++wrong;
      }
    });
    for (Position p = 3; p < 1500; ++p) {
      apply(*table, {tag(("t" + std::to_string(p % 50)).c_str(), p)});
      published.store(p, std::memory_order_release);
    }
    local.join();
    done = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(wrong == 0);
    CHECK(table->bytes() <= 31 * 112);
  }
}
