#include "edge/node/explain.h"

#include <utility>

#include "core/base/digest.h"
#include "edge/cache/vary.h"

namespace bw::edge {
namespace {

using text::Json;

std::string hex_of(const Hash128& hash) {
  std::string bytes;
  for (const uint64_t half : {hash.hi, hash.lo}) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      bytes += static_cast<char>((half >> shift) & 0xff);
    }
  }
  return hex(bytes);
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return text;
}

std::string_view verdict_text(const Found& found) {
  switch (found.verdict) {
    case Found::Verdict::fresh:
      return "hit";
    case Found::Verdict::swr:
      return "stale";
    case Found::Verdict::revalidate:
      return "revalidate";
    case Found::Verdict::miss:
    case Found::Verdict::lag_fail:
      return "miss";
  }
  return "miss";
}

Json stored_json(const Object& object, WallTime now) {
  const ObjectMeta& meta = object.meta();
  Json stored = Json::object();
  stored.set("tier", object.in_memory() ? "memory" : "disk");
  stored.set("status", meta.status);
  stored.set("age_s", current_age_s(meta.freshness, now));
  stored.set("ttl_s", ttl_s(meta.freshness, now));
  stored.set("lifetime_from", to_text(meta.freshness.from));
  stored.set("etag", meta.validators.etag);
  stored.set("tags", static_cast<int64_t>(meta.tags.size()));
  stored.set("position", position_text(object.pos()));
  stored.set("size", static_cast<int64_t>(object.size()));
  return stored;
}

struct Question {
  std::shared_ptr<const Snapshot> snapshot;
  ExplainRequest request;
  const Site* site = nullptr;
  const Route* route = nullptr;
  CacheKey key;
};

Json describe(const Question& question, const Found& found, const PurgedSince& purged,
              WallTime now) {
  Json answer = Json::object();
  answer.set("site", question.site->name);
  answer.set("key", question.key.text);
  answer.set("variant", hex_of(found.variant));
  const bool pass = !question.route->policy->stores || (question.request.head.method != "GET" &&
                                                        question.request.head.method != "HEAD");
  answer.set("verdict", pass ? "pass" : verdict_text(found));
  answer.set("reason", pass
                           ? to_text(question.route->policy->stores ? Reason::method : Reason::rule)
                           : to_text(found.reason));
  answer.set("stored", found.object ? stored_json(*found.object, now) : Json());
  const Marks marks =
      purged.newest(found.object ? found.object->purge_keys() : question.key.purge_keys());
  if (marks.newest() > 0) {
    Json purge = Json::object();
    purge.set("seq", position_text(marks.newest()));
    purge.set("mode", marks.hard >= marks.soft ? "hard" : "soft");
    answer.set("purge", std::move(purge));
  } else {
    answer.set("purge", Json());
  }
  Json would = Json::object();
  const bool hit = found.verdict == Found::Verdict::fresh && !pass;
  would.set("fetch_from", hit ? "" : question.snapshot->shields != nullptr ? "shield" : "origin");
  would.set("validators", !hit && found.object && found.object->meta().validators.any());
  answer.set("would", std::move(would));
  return answer;
}

}  // namespace

std::optional<ExplainRequest> parse_explain_request(std::string_view body, std::string* why) {
  const Result<Json> parsed = Json::parse(body, {}, why);
  if (!parsed.ok()) return std::nullopt;
  if (!parsed->is_object()) {
    *why = "an object is needed";
    return std::nullopt;
  }
  ExplainRequest request;
  request.head.method = "GET";
  for (const Json::Member& member : parsed->members()) {
    if (member.key != "url" && member.key != "method" && member.key != "headers" &&
        member.key != "client") {
      *why = "unknown member \"" + member.key + "\"";
      return std::nullopt;
    }
  }
  std::string_view url = parsed->get("url").as_string().value_or("");
  const bool https = url.starts_with("https://");
  if (!https && !url.starts_with("http://")) {
    *why = "\"url\" must be an absolute http or https URL";
    return std::nullopt;
  }
  url.remove_prefix(https ? 8 : 7);
  const size_t slash = std::min(url.find_first_of("/?"), url.size());
  request.head.scheme = https ? "https" : "http";
  request.head.authority = lower(std::string(url.substr(0, slash)));
  const std::string_view rest = url.substr(slash, url.substr(slash).find('#'));
  request.head.target = rest.starts_with('/') ? std::string(rest) : '/' + std::string(rest);
  if (request.head.authority.empty()) {
    *why = "\"url\" has no host";
    return std::nullopt;
  }
  if (const auto method = parsed->get("method").as_string()) request.head.method = *method;
  for (const Json::Member& header : parsed->get("headers").members()) {
    const auto value = header.value.as_string();
    if (!value || !http::is_field_name(header.key) || !http::is_field_value(*value)) {
      *why = "\"headers\": \"" + header.key + "\" isn't a field";
      return std::nullopt;
    }
    request.head.fields.add(lower(header.key), *value);
  }
  if (const auto client = parsed->get("client").as_string()) {
    const Result<net::Ip> ip = net::Ip::parse(*client);
    if (!ip.ok()) {
      *why = "\"client\" isn't an IP address";
      return std::nullopt;
    }
    request.client = *ip;
  }
  return request;
}

void explain(net::Loop& loop, Store& store, std::shared_ptr<const Snapshot> snapshot,
             ExplainRequest request, UniqueFunction<void(Json)> done) {
  auto question = std::make_shared<Question>();
  question->snapshot = std::move(snapshot);
  question->request = std::move(request);
  const http::RequestHead& head = question->request.head;
  ClientFacts client{.ip = question->request.client};
  geo::Location location;
  if (question->snapshot->locator != nullptr) {
    location = question->snapshot->locator->find(client.ip);
    client.country = location.country_text();
    client.asn = location.asn;
  }
  const auto refuse = [&](std::string_view verdict, std::string_view reason) {
    Json answer = Json::object();
    answer.set("site", question->site == nullptr ? Json() : Json(question->site->name));
    answer.set("verdict", verdict).set("reason", reason);
    answer.set("stored", Json()).set("purge", Json()).set("would", Json());
    done(std::move(answer));
  };
  question->site = question->snapshot->sites->find(head.authority);
  if (question->site == nullptr) return refuse("denied", "no site of this node has this host");
  question->route = &question->site->match(head, client);
  if (!question->site->access.admits(client)) return refuse("denied", "access");
  if (question->route->action.kind == RouteAction::Kind::deny) return refuse("denied", "rule");
  strip_cookies(question->request.head.fields, question->route->policy->strip_cookies);
  question->key = make_key(*question->route->policy, head);
  const Lookup lookup{*question->route->policy, question->key, head, loop.now(), loop.wall()};
  Found found = store.find(lookup);
  const bool absent = found.verdict == Found::Verdict::miss &&
                      (found.reason == Reason::absent || found.reason == Reason::vary);
  if (!absent || !store.has_disk()) {
    done(describe(*question, found, store.purged(), loop.wall()));
    return;
  }
  const auto held = std::make_shared<UniqueFunction<void(Json)>>(std::move(done));
  store.find_on_disk(lookup, question->route->policy, [&loop, &store, question, held](Found later) {
    loop.post([&loop, &store, question, held, later = std::move(later)] {
      (*held)(describe(*question, later, store.purged(), loop.wall()));
    });
  });
}

void answer_explain(net::Loop& loop, Store& store, std::shared_ptr<const Snapshot> snapshot,
                    std::string_view body, http::Reply reply) {
  std::string why;
  std::optional<ExplainRequest> question = parse_explain_request(body, &why);
  if (!question) return reply.send(http::EndpointResponse::problem(400, "malformed", why));
  auto held = std::make_shared<http::Reply>(std::move(reply));
  explain(loop, store, std::move(snapshot), std::move(*question), [held](const Json& answer) {
    held->send(http::EndpointResponse::json(200, answer.dump()));
  });
}

}  // namespace bw::edge
