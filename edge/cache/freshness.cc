#include "edge/cache/freshness.h"

#include <algorithm>

#include "core/http/dates.h"
#include "edge/cache/cache_control.h"
#include "edge/cache/field_text.h"
#include "edge/cache/validators.h"
#include "edge/cache/vary.h"

namespace bw::edge {
namespace {

using http::FieldId;

// RFC 9110 section 15.1 names 404 to 501 too; those are kept only where the site says so.
bool has_default_ttl(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 206:
    case 300:
    case 301:
    case 308:
      return true;
    default:
      return false;
  }
}

bool is_heuristic_status(int status) {
  return has_default_ttl(status) || status == 404 || status == 410;
}

// Codes whose meaning for a cache we know (must-understand).
bool is_understood(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 451:
    case 500:
    case 501:
    case 502:
    case 503:
    case 504:
      return true;
    default:
      return false;
  }
}

// Errors that depend on what no key holds (a field too large, a rate, a body): were they stored,
// one client could break a URL for all.
bool is_requesters_own(int status) {
  switch (status) {
    case 400:
    case 407:
    case 408:
    case 411:
    case 412:
    case 413:
    case 416:
    case 417:
    case 421:
    case 425:
    case 426:
    case 428:
    case 429:
    case 431:
      return true;
    default:
      return false;
  }
}

// The directives that rule here, and whether a targeted field gave them (RFC 9213 section 2.2).
struct Ruling {
  CacheDirectives directives;
  bool targeted = false;
};

Ruling ruling_of(const http::FieldList& fields, const SitePolicy& policy) {
  for (const std::string& name : policy.target_headers) {
    const auto value = fields.combined(name);
    if (!value.has_value()) continue;
    if (auto directives = parse_targeted(*value)) return {*directives, true};
  }
  return {parse_cache_control(fields), false};
}

int64_t bounded(int64_t seconds) { return std::clamp<int64_t>(seconds, 0, kMaxSeconds); }

int64_t whole_seconds(int64_t from_ns, int64_t to_ns) {
  return to_ns <= from_ns ? 0 : (to_ns - from_ns) / 1'000'000'000;
}

// RFC 9111 section 4.2.3.
int64_t initial_age(const http::FieldList& fields, std::optional<int64_t> date,
                    ExchangeTimes times) {
  int64_t age = 0;
  if (const auto field = fields.find(FieldId::age)) {
    std::string_view rest = *field;
    age = parse_delta_seconds(next_member(rest)).value_or(0);
  }
  const int64_t delay = whole_seconds(times.requested.ns, times.received.ns);
  const int64_t apparent = date.has_value() ? times.received.seconds() - *date : 0;
  return bounded(std::max(apparent, age + delay));
}

struct Lifetime {
  LifetimeFrom from = LifetimeFrom::none;
  int64_t seconds = 0;
};

Lifetime lifetime_of(const Ruling& ruling, const http::ResponseHead& response,
                     const SitePolicy& policy, std::optional<int64_t> date, WallTime received) {
  const CacheDirectives& directives = ruling.directives;
  if (directives.s_maxage.has_value()) {
    return {ruling.targeted ? LifetimeFrom::targeted : LifetimeFrom::s_maxage,
            *directives.s_maxage};
  }
  if (directives.max_age.has_value()) {
    return {ruling.targeted ? LifetimeFrom::targeted : LifetimeFrom::max_age, *directives.max_age};
  }
  const int64_t base = date.value_or(received.seconds());
  if (!ruling.targeted) {
    if (const auto expires = response.fields.find(FieldId::expires)) {
      // A date that isn't one is in the past (RFC 9111 section 5.3).
      const auto at = http::parse_date(*expires, received.seconds());
      return {LifetimeFrom::expires, at.has_value() ? bounded(*at - base) : 0};
    }
  }
  if (const auto found = policy.status_ttl.find(response.status);
      found != policy.status_ttl.end()) {
    return {LifetimeFrom::status_ttl, found->second.count()};
  }
  if (has_default_ttl(response.status) && policy.default_ttl.count() > 0) {
    return {LifetimeFrom::default_ttl, policy.default_ttl.count()};
  }
  if (policy.heuristic && (is_heuristic_status(response.status) || directives.is_public)) {
    if (const auto text = response.fields.find(FieldId::last_modified)) {
      const auto modified = http::parse_date(*text, received.seconds());
      // A tenth of its age (RFC 9111 section 4.2.2).
      if (modified.has_value() && *modified < base) {
        return {LifetimeFrom::heuristic, bounded((base - *modified) / 10)};
      }
    }
  }
  return {};
}

// stale-* as the response names them, else as the site does; s-maxage says proxy-revalidate
// (RFC 9111 section 5.2.2.10), which only what the same field names may soften.
void set_stale(Freshness& freshness, const CacheDirectives& directives, const SitePolicy& policy) {
  freshness.no_cache = directives.no_cache;
  freshness.must_revalidate = directives.must_revalidate || directives.proxy_revalidate;
  freshness.swr_s =
      directives.stale_while_revalidate.value_or(policy.stale_while_revalidate.count());
  freshness.sie_s = directives.stale_if_error.value_or(policy.stale_if_error.count());
  if (directives.s_maxage.has_value()) {
    const bool named =
        directives.stale_while_revalidate.has_value() || directives.stale_if_error.has_value();
    if (!policy.stale_beats_s_maxage || !named) {
      freshness.must_revalidate = true;
    } else {
      freshness.swr_s = directives.stale_while_revalidate.value_or(0);
      freshness.sie_s = directives.stale_if_error.value_or(0);
    }
  }
  if (freshness.must_revalidate || freshness.no_cache) freshness.swr_s = freshness.sie_s = 0;
}

// RFC 9111 section 3, but for freshness.
Reason why_not_shared(const http::RequestHead& request, const http::ResponseHead& response,
                      const CacheDirectives& directives, const SitePolicy& policy) {
  if (!policy.stores) return Reason::rule;
  if (request.method != "GET") return Reason::method;
  if (response.status == 206) return Reason::partial;
  if (response.status < 200 || response.status == 304 ||
      (is_requesters_own(response.status) && policy.status_ttl.count(response.status) == 0)) {
    return Reason::status;
  }
  if (directives.must_understand) {
    if (!is_understood(response.status)) return Reason::status;
  } else if (directives.no_store) {
    return Reason::no_store;
  }
  if (!policy.ignore_request_directives && parse_cache_control(request.fields).no_store) {
    return Reason::no_store;
  }
  if (directives.is_private) return Reason::not_shared;
  if (request.fields.has(FieldId::authorization) && !directives.is_public &&
      !directives.must_revalidate && !directives.s_maxage.has_value()) {
    return Reason::authorization;
  }
  if (response.fields.has(FieldId::set_cookie) && policy.cache_set_cookie == SetCookiePolicy::no) {
    return Reason::set_cookie;
  }
  if (parse_vary(response.fields).star) return Reason::vary_star;
  return Reason::none;
}

}  // namespace

std::string_view to_text(LifetimeFrom from) {
  switch (from) {
    case LifetimeFrom::none:
      return "none";
    case LifetimeFrom::targeted:
      return "targeted";
    case LifetimeFrom::s_maxage:
      return "s-maxage";
    case LifetimeFrom::max_age:
      return "max-age";
    case LifetimeFrom::expires:
      return "expires";
    case LifetimeFrom::status_ttl:
      return "status_ttl";
    case LifetimeFrom::default_ttl:
      return "default_ttl";
    case LifetimeFrom::heuristic:
      return "heuristic";
  }
  return "none";
}

int64_t current_age_s(const Freshness& freshness, WallTime now) {
  return freshness.initial_age_s + whole_seconds(freshness.response_time.ns, now.ns);
}

int64_t ttl_s(const Freshness& freshness, WallTime now) {
  return freshness.lifetime_s - current_age_s(freshness, now);
}

int64_t age_to_send_s(const Freshness& freshness, WallTime now) {
  const int64_t age = current_age_s(freshness, now);
  return std::min(freshness.age_reset ? age - freshness.initial_age_s : age, kMaxSeconds);
}

Judgement judge(const http::RequestHead& request, const http::ResponseHead& response,
                const SitePolicy& policy, ExchangeTimes times) {
  Judgement judgement;
  const Ruling ruling = ruling_of(response.fields, policy);
  const Validators validators = validators_of(response.fields);
  Freshness& freshness = judgement.freshness;
  freshness.response_time = times.received;
  freshness.initial_age_s = initial_age(response.fields, validators.date_s, times);
  const Lifetime lifetime =
      lifetime_of(ruling, response, policy, validators.date_s, times.received);
  freshness.from = lifetime.from;
  freshness.lifetime_s = std::min<int64_t>(bounded(lifetime.seconds), policy.max_ttl.count());
  freshness.age_reset = ruling.targeted && policy.age == AgePolicy::reset;
  set_stale(freshness, ruling.directives, policy);
  judgement.strip_set_cookie =
      response.fields.has(FieldId::set_cookie) && policy.cache_set_cookie == SetCookiePolicy::strip;

  judgement.refused = why_not_shared(request, response, ruling.directives, policy);
  if (judgement.refused != Reason::none) return judgement;
  if (freshness.no_cache) {
    // It is good for a validation, or for nothing.
    if (!validators.any()) judgement.refused = Reason::no_cache;
  } else if (freshness.from == LifetimeFrom::none) {
    judgement.refused = Reason::no_freshness;
  } else if (freshness.lifetime_s <= freshness.initial_age_s && !validators.any() &&
             freshness.swr_s == 0 && freshness.sie_s == 0) {
    judgement.refused = Reason::no_freshness;
  }
  return judgement;
}

Reuse judge_reuse(const Freshness& freshness, const http::RequestHead& request,
                  const SitePolicy& policy, WallTime now) {
  Reuse reuse;
  const int64_t ttl = ttl_s(freshness, now);
  const bool firm = freshness.must_revalidate || freshness.no_cache;
  const auto within = [ttl](int64_t window) { return ttl > 0 || -ttl < window; };
  reuse.ttl = ttl;
  reuse.stale_if_error = !firm && within(freshness.sie_s);
  if (freshness.no_cache) {
    reuse.reason = Reason::must_revalidate;
    return reuse;
  }
  std::optional<int64_t> max_stale;
  const bool has_control = request.fields.has(FieldId::cache_control);
  if (!policy.ignore_request_directives && (has_control || request.fields.has(FieldId::pragma))) {
    const CacheDirectives asked = parse_cache_control(request.fields);
    bool no_cache = asked.no_cache;
    if (!has_control) {
      const auto pragma = request.fields.find(FieldId::pragma);
      no_cache = pragma.has_value() && equals_ignoring_case(*pragma, "no-cache");
    }
    if (no_cache) {
      reuse.reason = Reason::request_no_cache;
      reuse.stale_if_error = false;
      return reuse;
    }
    const int64_t age = current_age_s(freshness, now);
    if ((asked.max_age.has_value() && (age > *asked.max_age || *asked.max_age == 0)) ||
        (asked.min_fresh.has_value() && ttl < *asked.min_fresh)) {
      reuse.reason = Reason::request_no_cache;
      return reuse;
    }
    max_stale = asked.max_stale;
  }
  if (ttl > 0) {
    reuse.verdict = Reuse::Verdict::fresh;
    return reuse;
  }
  reuse.reason = firm ? Reason::must_revalidate : Reason::expired;
  if (firm) return reuse;
  if (max_stale.has_value() && -ttl <= *max_stale) {
    reuse.verdict = Reuse::Verdict::fresh;
    reuse.reason = Reason::none;
  } else if (within(freshness.swr_s)) {
    reuse.verdict = Reuse::Verdict::stale_while_revalidate;
    reuse.reason = Reason::swr;
  }
  return reuse;
}

bool only_if_cached(const http::RequestHead& request, const SitePolicy& policy) {
  return !policy.ignore_request_directives && parse_cache_control(request.fields).only_if_cached;
}

}  // namespace bw::edge
