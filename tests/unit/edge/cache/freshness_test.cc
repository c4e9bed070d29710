#include "edge/cache/freshness.h"

#include <catch2/catch.hpp>

#include "core/http/dates.h"
#include "edge/cache/object.h"

using namespace bw::edge;
using namespace bw;

namespace {

constexpr int64_t kNow = 1'700'000'000;
constexpr WallTime at(int64_t seconds) { return {(kNow + seconds) * 1'000'000'000}; }

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string date(int64_t seconds) { return http::format_date(kNow + seconds); }

http::RequestHead request(const Fields& fields = {}, const char* method = "GET") {
  http::RequestHead head;
  head.method = method;
  for (const auto& [name, value] : fields) head.fields.add(name, value);
  return head;
}

http::ResponseHead response(const Fields& fields, int status = 200) {
  http::ResponseHead head;
  head.status = status;
  for (const auto& [name, value] : fields) head.fields.add(name, value);
  return head;
}

SitePolicy conformance() {
  SitePolicy policy;
  policy.ignore_request_directives = false;
  policy.stale_beats_s_maxage = false;
  policy.cache_set_cookie = SetCookiePolicy::keep;
  policy.heuristic = true;
  return policy;
}

Judgement judge_now(const Fields& fields, const SitePolicy& policy = {}, int status = 200,
                    const http::RequestHead& asked = request()) {
  return judge(asked, response(fields, status), policy, {at(0), at(0)});
}

}  // namespace

TEST_CASE("freshness: which number rules") {
  SitePolicy policy;
  policy.default_ttl = std::chrono::seconds(7);
  policy.status_ttl[404] = std::chrono::seconds(10);
  policy.heuristic = true;
  struct Row {
    Fields fields;
    int status;
    LifetimeFrom from;
    int64_t lifetime;
  };
  const Row rows[] = {
      {{{"cache-control", "max-age=60"}}, 200, LifetimeFrom::max_age, 60},
      {{{"cache-control", "max-age=60, s-maxage=30"}}, 200, LifetimeFrom::s_maxage, 30},
      {{{"cache-control", "max-age=60"}, {"expires", date(5)}}, 200, LifetimeFrom::max_age, 60},
      {{{"date", date(0)}, {"expires", date(5)}}, 200, LifetimeFrom::expires, 5},
      {{{"expires", date(5)}}, 200, LifetimeFrom::expires, 5},
      {{{"expires", "0"}, {"etag", "\"a\""}}, 200, LifetimeFrom::expires, 0},
      {{{"surrogate-control", "max-age=9"}, {"cache-control", "no-store"}},
       200,
       LifetimeFrom::targeted,
       9},
      {{{"cdn-cache-control", "max-age=8"}, {"surrogate-control", "max-age=9"}},
       200,
       LifetimeFrom::targeted,
       9},
      {{{"surrogate-control", "max-age=9,"}, {"cdn-cache-control", "max-age=8"}},
       200,
       LifetimeFrom::targeted,
       8},
      {{{"surrogate-control", "bad,,"}, {"cache-control", "max-age=60"}},
       200,
       LifetimeFrom::max_age,
       60},
      {{{"cdn-cache-control", "must-revalidate"}, {"expires", date(5)}},
       200,
       LifetimeFrom::default_ttl,
       7},
      {{}, 200, LifetimeFrom::default_ttl, 7},
      {{}, 404, LifetimeFrom::status_ttl, 10},
      {{{"cache-control", "max-age=60"}}, 404, LifetimeFrom::max_age, 60},
      {{{"last-modified", date(-1000)}}, 410, LifetimeFrom::heuristic, 100},
      {{{"cache-control", "max-age=99999999999"}}, 200, LifetimeFrom::max_age, 365 * 86400},
  };
  for (const Row& row : rows) {
    INFO((row.fields.empty() ? "none" : row.fields[0].second) << " " << row.status);
    const Judgement judgement = judge_now(row.fields, policy, row.status);
    CHECK(judgement.refused == Reason::none);
    CHECK(judgement.freshness.from == row.from);
    CHECK(judgement.freshness.lifetime_s == row.lifetime);
  }
}

TEST_CASE("freshness: what may not be stored, and why") {
  SitePolicy policy;
  struct Row {
    Fields fields;
    int status;
    Reason expected;
  };
  const std::string fresh = "max-age=60";
  const Row rows[] = {
      {{}, 200, Reason::no_freshness},
      {{{"last-modified", date(-1000)}}, 200, Reason::no_freshness},
      {{{"cache-control", "no-store, max-age=60"}}, 200, Reason::no_store},
      {{{"cache-control", "private, max-age=60"}}, 200, Reason::not_shared},
      {{{"cache-control", "private=\"x\", max-age=60"}}, 200, Reason::not_shared},
      {{{"cache-control", "no-cache"}}, 200, Reason::no_cache},
      {{{"cache-control", "no-cache"}, {"etag", "\"a\""}}, 200, Reason::none},
      {{{"cache-control", "max-age=0"}}, 200, Reason::no_freshness},
      {{{"cache-control", "max-age=0"}, {"etag", "\"a\""}}, 200, Reason::none},
      {{{"cache-control", "max-age=0, stale-if-error=5"}}, 200, Reason::none},
      {{{"cache-control", fresh}, {"set-cookie", "a=1"}}, 200, Reason::set_cookie},
      {{{"cache-control", fresh}, {"vary", "*"}}, 200, Reason::vary_star},
      {{{"cache-control", fresh}}, 206, Reason::partial},
      {{{"cache-control", fresh}}, 304, Reason::status},
      {{{"cache-control", fresh}}, 400, Reason::status},
      {{{"cache-control", fresh}}, 413, Reason::status},
      {{{"cache-control", fresh}}, 429, Reason::status},
      {{{"cache-control", fresh}}, 431, Reason::status},
      {{{"cache-control", fresh}}, 500, Reason::none},
      {{{"cache-control", fresh}}, 599, Reason::none},
      {{{"cache-control", "must-understand, no-store, max-age=60"}}, 200, Reason::none},
      {{{"cache-control", "must-understand, no-store, max-age=60"}}, 599, Reason::status},
      {{{"cache-control", fresh}, {"age", "60"}}, 200, Reason::no_freshness},
  };
  for (const Row& row : rows) {
    INFO((row.fields.empty() ? "none" : row.fields[0].second) << " " << row.status);
    CHECK(judge_now(row.fields, policy, row.status).refused == row.expected);
  }
  CHECK(judge_now({{"cache-control", fresh}}, policy, 200, request({}, "POST")).refused ==
        Reason::method);
  CHECK(judge_now({{"cache-control", fresh}}, policy, 200, request({}, "HEAD")).refused ==
        Reason::method);
  policy.stores = false;
  CHECK(judge_now({{"cache-control", fresh}}, policy).refused == Reason::rule);
}

TEST_CASE("freshness: Authorization, Set-Cookie and request directives by policy") {
  const http::RequestHead secret = request({{"authorization", "x"}});
  SitePolicy policy;
  CHECK(judge_now({{"cache-control", "max-age=9"}}, policy, 200, secret).refused ==
        Reason::authorization);
  for (const char* text : {"public, max-age=9", "s-maxage=9", "must-revalidate, max-age=9"}) {
    CHECK(judge_now({{"cache-control", text}}, policy, 200, secret).storable());
  }
  const Fields cookie = {{"cache-control", "max-age=9"}, {"set-cookie", "a=1"}};
  policy.cache_set_cookie = SetCookiePolicy::strip;
  CHECK(judge_now(cookie, policy).storable());
  CHECK(judge_now(cookie, policy).strip_set_cookie);
  policy.cache_set_cookie = SetCookiePolicy::keep;
  CHECK(judge_now(cookie, policy).storable());
  CHECK_FALSE(judge_now(cookie, policy).strip_set_cookie);

  const http::RequestHead no_store = request({{"cache-control", "no-store"}});
  CHECK(judge_now({{"cache-control", "max-age=9"}}, SitePolicy(), 200, no_store).storable());
  CHECK(judge_now({{"cache-control", "max-age=9"}}, conformance(), 200, no_store).refused ==
        Reason::no_store);
  CHECK_FALSE(only_if_cached(request({{"cache-control", "only-if-cached"}}), SitePolicy()));
  CHECK(only_if_cached(request({{"cache-control", "only-if-cached"}}), conformance()));
}

TEST_CASE("freshness: stale directives and what forbids them") {
  SitePolicy policy;
  policy.stale_while_revalidate = std::chrono::seconds(3);
  policy.stale_if_error = std::chrono::seconds(4);
  struct Row {
    const char* control;
    int64_t swr, sie;
    bool firm;
  };
  const Row rows[] = {
      {"max-age=9", 3, 4, false},
      {"max-age=9, stale-while-revalidate=5", 5, 4, false},
      {"max-age=9, stale-while-revalidate=0", 0, 4, false},
      {"max-age=9, must-revalidate, stale-if-error=5", 0, 0, true},
      {"max-age=9, proxy-revalidate", 0, 0, true},
      {"s-maxage=9", 0, 0, true},
      {"s-maxage=9, stale-if-error=5", 0, 5, false},
      {"s-maxage=9, stale-if-error=5, must-revalidate", 0, 0, true},
  };
  for (const Row& row : rows) {
    INFO(row.control);
    const Freshness f = judge_now({{"cache-control", row.control}}, policy).freshness;
    CHECK(f.swr_s == row.swr);
    CHECK(f.sie_s == row.sie);
    CHECK(f.must_revalidate == row.firm);
  }
  const Freshness strict =
      judge_now({{"cache-control", "s-maxage=9, stale-if-error=5"}}, conformance()).freshness;
  CHECK(strict.must_revalidate);
  CHECK(strict.sie_s == 0);
}

TEST_CASE("freshness: age counts what others held it, the way here, and our time") {
  const http::ResponseHead head =
      response({{"cache-control", "max-age=100"}, {"age", "10"}, {"date", date(-5)}});
  const Freshness f = judge(request(), head, {}, {at(-2), at(0)}).freshness;
  CHECK(f.initial_age_s == 12);
  CHECK(current_age_s(f, at(3)) == 15);
  CHECK(ttl_s(f, at(3)) == 85);
  CHECK(ttl_s(f, at(100)) == -12);
  CHECK(current_age_s(f, at(-100)) == 12);  // the clock jumped back
  CHECK(age_to_send_s(f, at(3)) == 15);

  const auto initial = [](const Fields& fields) {
    return judge(request(), response(fields), {}, {at(0), at(0)}).freshness.initial_age_s;
  };
  CHECK(initial({{"date", date(-50)}, {"age", "10"}}) == 50);
  CHECK(initial({{"date", date(50)}}) == 0);
  CHECK(initial({{"age", "x"}}) == 0);
  CHECK(initial({{"age", "-1"}}) == 0);
  CHECK(initial({{"age", "7, 9"}}) == 7);
  CHECK(initial({{"age", "99999999999999999999"}}) == int64_t{1} << 31);

  SitePolicy policy;
  policy.age = AgePolicy::reset;
  const Freshness reset =
      judge(request(), response({{"cdn-cache-control", "max-age=100"}, {"age", "10"}}), policy,
            {at(0), at(0)})
          .freshness;
  CHECK(age_to_send_s(reset, at(3)) == 3);
  CHECK(ttl_s(reset, at(3)) == 87);
}

TEST_CASE("freshness: what a stored response is good for now") {
  using Verdict = Reuse::Verdict;
  Freshness f;
  f.response_time = at(0);
  f.lifetime_s = 10;
  f.swr_s = 5;
  f.sie_s = 20;
  const SitePolicy policy;
  struct Row {
    int64_t now;
    Verdict verdict;
    Reason reason;
    bool on_error;
  };
  const Row rows[] = {
      {0, Verdict::fresh, Reason::none, true},
      {9, Verdict::fresh, Reason::none, true},
      {10, Verdict::stale_while_revalidate, Reason::swr, true},
      {14, Verdict::stale_while_revalidate, Reason::swr, true},
      {15, Verdict::revalidate, Reason::expired, true},
      {29, Verdict::revalidate, Reason::expired, true},
      {30, Verdict::revalidate, Reason::expired, false},
  };
  for (const Row& row : rows) {
    INFO(row.now);
    const Reuse reuse = judge_reuse(f, request(), policy, at(row.now));
    CHECK(reuse.verdict == row.verdict);
    CHECK(reuse.reason == row.reason);
    CHECK(reuse.stale_if_error == row.on_error);
    CHECK(reuse.ttl == 10 - row.now);
  }
  f.must_revalidate = true;
  CHECK(judge_reuse(f, request(), policy, at(9)).verdict == Verdict::fresh);
  CHECK(judge_reuse(f, request(), policy, at(11)).reason == Reason::must_revalidate);
  CHECK_FALSE(judge_reuse(f, request(), policy, at(11)).stale_if_error);
  f.no_cache = true;
  CHECK(judge_reuse(f, request(), policy, at(1)).verdict == Verdict::revalidate);
}

TEST_CASE("freshness: request directives count only where the policy says") {
  Freshness f;
  f.response_time = at(0);
  f.lifetime_s = 10;
  const auto verdict = [&](const Fields& fields, int64_t now) {
    CHECK(judge_reuse(f, request(fields), SitePolicy(), at(now)).verdict ==
          judge_reuse(f, request(), SitePolicy(), at(now)).verdict);
    return judge_reuse(f, request(fields), conformance(), at(now)).verdict;
  };
  using Verdict = Reuse::Verdict;
  CHECK(verdict({{"cache-control", "no-cache"}}, 1) == Verdict::revalidate);
  CHECK(verdict({{"pragma", "no-cache"}}, 1) == Verdict::revalidate);
  CHECK(verdict({{"pragma", "no-cache"}, {"cache-control", "max-age=5"}}, 1) == Verdict::fresh);
  CHECK(verdict({{"cache-control", "max-age=5"}}, 6) == Verdict::revalidate);
  CHECK(verdict({{"cache-control", "max-age=0"}}, 0) == Verdict::revalidate);
  CHECK(verdict({{"cache-control", "min-fresh=5"}}, 5) == Verdict::fresh);
  CHECK(verdict({{"cache-control", "min-fresh=5"}}, 6) == Verdict::revalidate);
  CHECK(verdict({{"cache-control", "max-stale=5"}}, 15) == Verdict::fresh);
  CHECK(verdict({{"cache-control", "max-stale=5"}}, 16) == Verdict::revalidate);
  CHECK(verdict({{"cache-control", "max-stale"}}, 1000) == Verdict::fresh);
  f.must_revalidate = true;
  CHECK(verdict({{"cache-control", "max-stale"}}, 11) == Verdict::revalidate);
}

TEST_CASE("object: meta is read as it was written, and torn bytes are corrupt") {
  ObjectMeta meta;
  meta.key.text = "shop\n00\nGET\nhttp\nh\n/a?b\naccept:x";
  meta.key.hash = {1, 2};
  meta.key.site = 3;
  meta.variant = {6, 7};
  meta.vary = {"accept", "x"};
  meta.status = 200;
  meta.fields.add("etag", "\"a\"");
  meta.fields.add("x", "");
  meta.tags = {8, 9};
  meta.freshness = judge_now({{"cache-control", "max-age=5, must-revalidate"}}).freshness;
  meta.validators.etag = "\"a\"";
  meta.validators.date_s = -7;
  meta.body_size = 1ull << 40;
  meta.generation = ~0ull;
  meta.pos = make_position(65535, 1);
  meta.local = 11;
  const std::string bytes = encode_meta(meta);
  const auto back = decode_meta(bytes);
  REQUIRE(back.ok());
  CHECK(encode_meta(*back) == bytes);
  CHECK(back->freshness == meta.freshness);
  CHECK(back->validators == meta.validators);
  CHECK(back->fields.find("etag") == "\"a\"");
  CHECK(back->generation == ~0ull);
  CHECK(back->key.host() == "h");
  CHECK(back->key.path() == "/a");
  CHECK(back->key.target() == "/a?b");
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_meta(bytes.substr(0, size)).ok());
  }
  CHECK_FALSE(decode_meta(bytes + "x").ok());
  for (size_t i = 0; i < bytes.size(); ++i) {  // no byte makes it read outside
    std::string broken = bytes;
    broken[i] = '\xff';
    (void)decode_meta(broken);
  }
}

TEST_CASE("object: slices cut a body of pieces anywhere; pos only rises") {
  ObjectMeta meta;
  meta.body_size = 10;
  meta.pos = 5;
  const Ref<Object> object(
      new Object(meta, {Slice::copy_of("abc"), Slice::copy_of("defg"), Slice::copy_of("hij")}));
  for (uint64_t offset = 0; offset <= 10; ++offset) {
    for (uint64_t length = 0; offset + length <= 10; ++length) {
      std::string out;
      for (const Slice& slice : object->slices(offset, length)) out += slice.view();
      CHECK(out == std::string("abcdefghij").substr(offset, length));
    }
  }
  object->raise(3, 9);
  CHECK(object->pos() == 5);
  CHECK(object->local() == 9);
  object->raise(7, 2);
  CHECK(object->pos() == 7);
  CHECK(object->local() == 9);
  CHECK(object->charge() > 10 + sizeof(Object));
}
