#include "edge/node/purge_mapping.h"

#include <catch2/catch.hpp>

#include "edge/cache/tags.h"

using namespace bw;
using namespace bw::edge;

namespace {

purge::Record record_of(purge::Kind kind, std::string text) {
  purge::Record record;
  record.position = purge::Position::of(1, 7);
  record.kind = kind;
  record.text = std::move(text);
  return record;
}

std::vector<Purge> mapped(const purge::Record& record, std::vector<KeyRules> rules = {}) {
  std::vector<Purge> purges;
  map_record(record, {5, std::move(rules)}, purges);
  return purges;
}

KeyRules without_host() {
  KeyRules rules;
  rules.host = false;
  return rules;
}

}  // namespace

TEST_CASE("purge mapping: what each kind of record purges") {
  const struct {
    purge::Kind kind;
    const char* text;
    PurgeKind becomes;
    PurgeMode mode;
  } cases[] = {
      {purge::Kind::url, "shop.example/a?b=1", PurgeKind::url, PurgeMode::hard},
      {purge::Kind::url, "shop.example/a?*", PurgeKind::any_query, PurgeMode::hard},
      {purge::Kind::prefix, "shop.example/a", PurgeKind::prefix, PurgeMode::hard},
      {purge::Kind::prefix, "/a*", PurgeKind::byte_prefix, PurgeMode::hard},
      {purge::Kind::host, "shop.example", PurgeKind::host, PurgeMode::hard},
      {purge::Kind::tag, "shoes", PurgeKind::tag, PurgeMode::hard},
      {purge::Kind::all, "", PurgeKind::site, PurgeMode::hard},
      {purge::Kind::site, "", PurgeKind::site, PurgeMode::hard},
      // Nothing finer is known of these: all of the site becomes stale.
      {purge::Kind::group, "g", PurgeKind::site, PurgeMode::soft},
      {purge::Kind::unknown, "x", PurgeKind::site, PurgeMode::soft},
  };
  for (const auto& one : cases) {
    INFO(one.text);
    const std::vector<Purge> purges = mapped(record_of(one.kind, one.text));
    REQUIRE(purges.size() == 1);
    CHECK(purges[0].site == 5);
    CHECK(purges[0].kind == one.becomes);
    CHECK(purges[0].mode == one.mode);
    CHECK(purges[0].position == purge::Position::of(1, 7).value);
  }
}

TEST_CASE("purge mapping: the start of an epoch purges nothing") {
  CHECK(mapped(record_of(purge::Kind::epoch, "")).empty());
}

TEST_CASE("purge mapping: a soft record is a soft purge") {
  purge::Record record = record_of(purge::Kind::tag, "shoes");
  record.mode = purge::Mode::soft;
  const std::vector<Purge> purges = mapped(record);
  REQUIRE(purges.size() == 1);
  CHECK(purges[0].mode == PurgeMode::soft);
  CHECK(purges[0].key == Hash128{0, tag_hash("shoes")});
}

TEST_CASE("purge mapping: a URL is purged in each way its site keys") {
  const std::vector<Purge> purges =
      mapped(record_of(purge::Kind::url, "shop.example/A"), {KeyRules(), without_host()});
  REQUIRE(purges.size() == 2);
  CHECK(purges[0].key == url_purge_key(KeyRules(), "shop.example", "/A", std::nullopt));
  CHECK(purges[1].key == url_purge_key(without_host(), "shop.example", "/A", std::nullopt));
  CHECK_FALSE(purges[0].key == purges[1].key);
}

TEST_CASE("purge mapping: keys without the host widen a prefix for themselves only") {
  const std::vector<Purge> purges =
      mapped(record_of(purge::Kind::prefix, "shop.example/a"), {without_host(), KeyRules()});
  REQUIRE(purges.size() == 2);
  CHECK(purges[0].host.empty());
  CHECK(purges[1].host == "shop.example");
  CHECK(purges[1].path == "/a");
}

TEST_CASE("purge mapping: a host is all of a site whose keys don't name it") {
  const std::vector<Purge> purges =
      mapped(record_of(purge::Kind::host, "shop.example"), {KeyRules(), without_host()});
  REQUIRE(purges.size() == 1);
  CHECK(purges[0].kind == PurgeKind::site);
}
