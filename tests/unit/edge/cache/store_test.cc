#include "edge/cache/store.h"

#include <catch2/catch.hpp>
#include <condition_variable>

#include "edge/cache/tags.h"
#include "tests/support/temp_dir.h"

using namespace bw::edge;
using namespace bw;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// A store, its table and one site; requests and responses in one line each.
struct Rig {
  PurgedSince purged{1 << 20};
  std::unique_ptr<DiskTier> disk;
  std::unique_ptr<Store> store;
  std::shared_ptr<SitePolicy> policy = std::make_shared<SitePolicy>();
  ManualClock clock;

  explicit Rig(size_t memory = 16u << 20, const std::string& disk_path = {}) {
    policy->site = 1;
    policy->name = "shop";
    if (!disk_path.empty()) {
      std::string why;
      DiskOptions options;
      options.path = disk_path;
      options.size = 64u << 20;
      auto opened = DiskTier::open(options, clock, &why);
      INFO(why);
      REQUIRE(opened.ok());
      disk = std::move(*opened);
    }
    Store::Options options;
    options.memory_size = memory;
    store = std::make_unique<Store>(options, purged, disk.get());
    purged.add_site(1, "shop");
    purged.start_without_log();
  }
  ~Rig() {
    disk.reset();
    store.reset();
  }

  static http::RequestHead request(const char* target, const Fields& fields = {}) {
    http::RequestHead head;
    head.method = "GET";
    head.scheme = "https";
    head.authority = "h.example";
    head.target = target;
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    return head;
  }
  Found find(const char* target, const Fields& fields = {}) {
    const http::RequestHead head = request(target, fields);
    const CacheKey key = make_key(*policy, head);
    return store->find({*policy, key, head, clock.mono(), clock.wall()});
  }
  Found find_on_disk(const char* target, const Fields& fields = {}) {
    const http::RequestHead head = request(target, fields);
    const CacheKey key = make_key(*policy, head);
    std::mutex mutex;
    std::condition_variable told;
    std::optional<Found> answer;
    store->find_on_disk({*policy, key, head, clock.mono(), clock.wall()}, policy, [&](Found found) {
      const std::lock_guard lock(mutex);
      answer = std::move(found);
      told.notify_one();
    });
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return answer.has_value(); });
    return std::move(*answer);
  }
  void flush() {
    std::mutex mutex;
    std::condition_variable told;
    bool done = false;
    disk->flush([&] {
      const std::lock_guard lock(mutex);
      done = true;
      told.notify_one();
    });
    std::unique_lock lock(mutex);
    told.wait(lock, [&] { return done; });
  }
  NewObject response(const http::RequestHead& head, const Fields& fields, uint64_t generation = 0) {
    http::ResponseHead answer;
    answer.status = 200;
    for (const auto& [name, value] : fields) answer.fields.add(name, value);
    const Judgement judgement = judge(head, answer, *policy, {clock.wall(), clock.wall()});
    NewObject object;
    object.policy = policy;
    object.key = make_key(*policy, head);
    object.request = &head;
    object.status = 200;
    object.fields = answer.fields;
    object.freshness = judgement.freshness;
    object.start = fill_start(purged.read(1), 0);
    object.pos = fill_pos(object.start, object.start.start);
    object.first_byte_sent = clock.mono();
    object.generation = generation != 0 ? generation : store->begin_fetch();
    return object;
  }
  Reason put(const char* target, std::string_view body, Fields fields = {},
             const Fields& asked = {}, uint64_t generation = 0) {
    fields.emplace_back("cache-control", "max-age=60");
    const http::RequestHead head = request(target, asked);
    Reason why = Reason::none;
    const auto insert = store->begin_insert(response(head, fields, generation), &why);
    if (insert == nullptr) return why;
    std::vector<Slice> pieces;
    for (size_t at = 0; at < body.size(); at += 100'000) {
      pieces.push_back(Slice::copy_of(body.substr(at, 100'000)));
      if (!insert->append(pieces.back())) return insert->reason();
    }
    return insert->commit(std::move(pieces)) ? Reason::none : insert->reason();
  }
  void purge_tag(const char* tag, Position position, PurgeMode mode = PurgeMode::hard) {
    Purge purge;
    purge.site = 1;
    purge.kind = PurgeKind::tag;
    purge.mode = mode;
    purge.key = {0, tag_hash(tag)};
    purge.position = position;
    purged.apply(std::span(&purge, 1), position);
  }
};

std::string body_of(const Ref<Object>& object) {
  std::string out;
  for (const Slice& slice : object->body()) out += slice.view();
  return out;
}

}  // namespace

TEST_CASE("store: a miss, a hit, and then what time makes of it") {
  Rig rig;
  CHECK(rig.find("/a").reason == Reason::absent);
  REQUIRE(rig.put("/a", "hello",
                  {{"age", "5"},
                   {"connection", "x"},
                   {"x", "1"},
                   {"breakwater-tier-token", "s"},
                   {"etag", "\"e\""}}) == Reason::none);
  Found found = rig.find("/a");
  REQUIRE(found.verdict == Found::Verdict::fresh);
  CHECK(found.ttl == 55);
  CHECK(body_of(found.object) == "hello");
  const http::FieldList& fields = found.object->meta().fields;
  CHECK_FALSE(fields.has(http::FieldId::age));
  CHECK_FALSE(fields.has(http::FieldId::connection));
  CHECK_FALSE(fields.find("x").has_value());
  CHECK_FALSE(fields.has(http::FieldId::breakwater_tier_token));
  CHECK(fields.has(http::FieldId::date));
  rig.clock.advance(std::chrono::seconds(56));
  found = rig.find("/a");
  CHECK(found.verdict == Found::Verdict::revalidate);
  CHECK(found.reason == Reason::expired);
  CHECK(found.object);
}

TEST_CASE("store: nothing is stored unless it is committed whole") {
  Rig rig;
  const http::RequestHead head = Rig::request("/a");
  Reason why = Reason::none;
  {
    auto dropped =
        rig.store->begin_insert(rig.response(head, {{"cache-control", "max-age=9"}}), &why);
    REQUIRE(dropped->append(Slice::copy_of("abc")));
  }
  CHECK(rig.find("/a").reason == Reason::absent);
  CHECK(rig.store->memory().used() == 0);
  NewObject object = rig.response(head, {{"cache-control", "max-age=9"}});
  object.content_length = 10;
  auto insert = rig.store->begin_insert(std::move(object), &why);
  REQUIRE(insert->append(Slice::copy_of("abc")));
  CHECK_FALSE(insert->commit({Slice::copy_of("abc")}));
  CHECK(insert->reason() == Reason::incomplete);
}

TEST_CASE("store: bodies lie flat up to 1 MiB and in pieces beyond, without slack") {
  Rig rig(64u << 20);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{200'000}, size_t{1} << 20,
                            (size_t{1} << 20) + 1, size_t{3'000'000}}) {
    std::string body;
    for (size_t i = 0; i < size; ++i) body += static_cast<char>('a' + i % 23);
    const std::string target = "/" + std::to_string(size);
    REQUIRE(rig.put(target.c_str(), body) == Reason::none);
    const Found found = rig.find(target.c_str());
    REQUIRE(found.object);
    CHECK(body_of(found.object) == body);
    CHECK(found.object->body().size() <= (size <= Insert::kFlat ? 1 : 1 + size / 100'000));
  }
  CHECK(rig.store->memory().reserved() == 0);
}

TEST_CASE("store: variants are chosen by the request; beyond max_variants the oldest goes") {
  Rig rig;
  rig.policy->max_variants = 2;
  const auto put = [&](const char* lang) {
    return rig.put("/v", lang, {{"vary", "x-lang"}}, {{"x-lang", lang}});
  };
  const auto get = [&](const char* lang) { return rig.find("/v", {{"x-lang", lang}}); };
  REQUIRE(put("de") == Reason::none);
  CHECK(get("en").reason == Reason::vary);
  REQUIRE(put("en") == Reason::none);
  CHECK(body_of(get("de").object) == "de");
  CHECK(body_of(get("en").object) == "en");
  REQUIRE(put("fr") == Reason::none);
  CHECK(get("de").reason == Reason::vary);
  CHECK(body_of(get("fr").object) == "fr");
  // A response without Vary takes the key from them all.
  REQUIRE(rig.put("/v", "plain") == Reason::none);
  CHECK(body_of(get("en").object) == "plain");
}

TEST_CASE("store: purges before headers, between headers and commit, and after") {
  Rig rig;
  const Fields tagged = {{"cache-control", "max-age=60"}, {"cache-tag", "t"}};
  const http::RequestHead head = Rig::request("/a");
  NewObject early = rig.response(head, tagged);
  NewObject middle = rig.response(head, tagged);
  Reason why = Reason::none;
  auto insert = rig.store->begin_insert(std::move(middle), &why);
  REQUIRE(insert != nullptr);
  rig.purge_tag("t", 5);
  CHECK(rig.store->begin_insert(std::move(early), &why) == nullptr);
  CHECK(why == Reason::purged_meanwhile);
  CHECK_FALSE(insert->commit());
  CHECK(insert->reason() == Reason::purged_meanwhile);
  CHECK(rig.find("/a").reason == Reason::absent);

  REQUIRE(rig.put("/a", "x", {{"cache-tag", "t"}}) == Reason::none);
  CHECK(rig.find("/a").proof == 5);
  rig.purge_tag("t", 6, PurgeMode::soft);
  CHECK(rig.find("/a").reason == Reason::soft_purged);
  CHECK(rig.find("/a").ttl == 0);
  CHECK(rig.find("/a").object);
  rig.purge_tag("t", 7);
  const Found gone = rig.find("/a");
  CHECK(gone.reason == Reason::purged);
  CHECK_FALSE(gone.object);
  CHECK(rig.find("/a").reason == Reason::absent);
}

TEST_CASE("store: a response whose fetch began earlier never replaces a later one") {
  Rig rig;
  const uint64_t earlier = rig.store->begin_fetch();
  REQUIRE(rig.put("/a", "new") == Reason::none);
  CHECK(rig.put("/a", "old", {}, {}, earlier) == Reason::younger);
  CHECK(body_of(rig.find("/a").object) == "new");
}

TEST_CASE("store: a POST's invalidation refuses the GET that was under way") {
  Rig rig;
  const http::RequestHead head = Rig::request("/a");
  Reason why = Reason::none;
  auto insert = rig.store->begin_insert(rig.response(head, {{"cache-control", "max-age=9"}}), &why);
  rig.purged.invalidate_local(1, make_key(*rig.policy, head).purge_hashes().url);
  CHECK_FALSE(insert->commit());
  CHECK(insert->reason() == Reason::purged_meanwhile);
}

TEST_CASE("store: a 304 gives new numbers, the union of tags, and never to a purged copy") {
  Rig rig;
  REQUIRE(rig.put("/a", "body", {{"cache-tag", "old"}, {"etag", "\"e\""}, {"x", "1"}}) ==
          Reason::none);
  rig.clock.advance(std::chrono::seconds(61));
  const Ref<Object> stored = rig.find("/a").object;
  const http::RequestHead head = Rig::request("/a");
  const Fields update = {
      {"cache-control", "max-age=90"}, {"cache-tag", "new"}, {"etag", "\"e\""}, {"x", "2"}};
  Reason why = Reason::none;
  const Ref<Object> fresh = rig.store->freshen(stored, rig.response(head, update), false, &why);
  REQUIRE(fresh);
  const Found found = rig.find("/a");
  CHECK(found.verdict == Found::Verdict::fresh);
  CHECK(found.ttl == 90);
  CHECK(found.object == fresh);
  CHECK(body_of(found.object) == "body");
  CHECK(found.object->meta().tags.size() == 2);
  CHECK(found.object->meta().fields.combined("x") == "2");

  // HEAD: fields, never the position.
  const Position pos = fresh->pos();
  rig.purge_tag("other", 8);
  const Ref<Object> headed = rig.store->freshen(fresh, rig.response(head, update), true, &why);
  REQUIRE(headed);
  CHECK(headed->meta().pos == pos);

  // A purge by the old tag during the 304.
  NewObject late = rig.response(head, update);
  rig.purge_tag("old", 9);
  CHECK_FALSE(rig.store->freshen(headed, std::move(late), false, &why));
  CHECK(why == Reason::purged);
  CHECK_FALSE(rig.find("/a").object);
}

TEST_CASE("store: in lag a site revalidates, serves or fails") {
  Rig rig;
  PurgedSince purged(1 << 20);
  purged.add_site(1, "shop");
  purged.start_at(1);
  Store store({}, purged, nullptr);
  purged.set_echo(rig.clock.mono());
  const http::RequestHead head = Rig::request("/a");
  Reason why = Reason::none;
  NewObject object = rig.response(head, {{"cache-control", "max-age=600, stale-if-error=60"}});
  object.start = fill_start(purged.read(1), 0);
  object.pos = object.start.start;
  object.generation = store.begin_fetch();
  REQUIRE(store.begin_insert(std::move(object), &why)->commit());
  const CacheKey key = make_key(*rig.policy, head);
  const auto find = [&](OnLag on_lag) {
    SitePolicy policy = *rig.policy;
    policy.on_lag = on_lag;
    return store.find({policy, key, head, rig.clock.mono(), rig.clock.wall()});
  };
  CHECK(find(OnLag::fail).verdict == Found::Verdict::fresh);
  rig.clock.advance(std::chrono::seconds(6));
  CHECK(find(OnLag::serve).verdict == Found::Verdict::fresh);
  CHECK(find(OnLag::serve).in_lag);
  CHECK(find(OnLag::fail).verdict == Found::Verdict::lag_fail);
  const Found late = find(OnLag::revalidate);
  CHECK(late.verdict == Found::Verdict::revalidate);
  CHECK(late.reason == Reason::lag);
  CHECK_FALSE(late.stale_if_error);
  late.object->set_validated(rig.clock.mono());
  CHECK(find(OnLag::revalidate).verdict == Found::Verdict::fresh);
}

TEST_CASE("store: hit-for-miss lives 2 s doubling, one re-learns, any purge of the key ends it") {
  Rig rig;
  const CacheKey key = make_key(*rig.policy, Rig::request("/p"));
  const auto marked = [&] { return rig.store->hit_for_miss(key, rig.clock.mono()); };
  CHECK_FALSE(marked());
  rig.store->mark_hit_for_miss(key, rig.clock.mono());
  CHECK(marked());
  rig.clock.advance(std::chrono::seconds(2));
  CHECK_FALSE(marked());  // this one learns
  CHECK(marked());        // the others don't wait for it
  rig.store->mark_hit_for_miss(key, rig.clock.mono());
  rig.clock.advance(std::chrono::milliseconds(3900));
  CHECK(marked());
  Purge purge;
  purge.site = 1;
  purge.kind = PurgeKind::url;
  purge.key = key.purge_hashes().url;
  purge.position = 4;
  rig.purged.apply(std::span(&purge, 1), 4);
  CHECK_FALSE(marked());
  rig.store->mark_hit_for_miss(key, rig.clock.mono());
  REQUIRE(rig.put("/p", "x") == Reason::none);
  CHECK_FALSE(marked());
}

TEST_CASE("store: what is too large for memory is refused without a disk") {
  Rig rig(16u << 20);
  CHECK(rig.put("/big", std::string(5u << 20, 'b')) == Reason::too_large);
  CHECK(rig.store->memory().used() == 0);
}

TEST_CASE("store: disk brings back what memory lost: small ones promoted, large ones read there") {
  test::TempDir dir;
  const std::string large(5u << 20, 'L');
  {
    Rig rig(16u << 20, dir / "cache");
    REQUIRE(rig.put("/small", "small", {{"cache-tag", "t"}}) == Reason::none);
    REQUIRE(rig.put("/empty", "") == Reason::none);
    REQUIRE(rig.put("/large", large) == Reason::none);
    REQUIRE(rig.put("/v", "de", {{"vary", "x-lang"}}, {{"x-lang", "de"}}) == Reason::none);
    CHECK_FALSE(rig.find("/large").object);
    rig.flush();
  }
  Rig rig(16u << 20, dir / "cache");
  CHECK(rig.find("/small").reason == Reason::absent);
  const Found small = rig.find_on_disk("/small");
  REQUIRE(small.verdict == Found::Verdict::fresh);
  CHECK(body_of(small.object) == "small");
  CHECK(rig.find("/small").object == small.object);
  CHECK(rig.find_on_disk("/empty").verdict == Found::Verdict::fresh);
  CHECK(rig.find_on_disk("/none").reason == Reason::absent);
  CHECK(body_of(rig.find_on_disk("/v", {{"x-lang", "de"}}).object) == "de");
  CHECK(rig.find_on_disk("/v", {{"x-lang", "en"}}).reason == Reason::vary);
  CHECK(body_of(rig.find("/v", {{"x-lang", "de"}}).object) == "de");
  const Found big = rig.find_on_disk("/large");
  REQUIRE(big.verdict == Found::Verdict::fresh);
  CHECK_FALSE(big.object->in_memory());
  CHECK(big.object->size() == large.size());

  rig.purge_tag("t", 5);
  CHECK(rig.find("/small").reason == Reason::purged);
  rig.flush();
  CHECK(rig.find_on_disk("/small").reason == Reason::absent);
}
