#include "purge/service.h"

#include <algorithm>
#include <utility>

#include "core/base/digest.h"
#include "core/base/log.h"

namespace bw::purge {
namespace {

using http::EndpointResponse;
constexpr size_t kMaxKey = 256;
constexpr Duration kTick = std::chrono::seconds(1);

EndpointResponse problem(int status, std::string_view name, std::string_view detail) {
  return EndpointResponse::problem(status, name, detail);
}

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // '/'
    const size_t slash = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return parts;
}

}  // namespace

ServiceMetrics::ServiceMetrics(metrics::Registry& registry)
    : purges(registry.counter("breakwater_purges_total", "purge requests by the status answered",
                              {"site", "status"})),
      records(registry.counter("breakwater_purge_records_total", "records made durable",
                               {"site", "kind"})) {}

Service::Service(Parts parts, const PurgedSettings& settings, std::vector<Token> tokens)
    : parts_(std::move(parts)),
      tokens_(std::move(tokens)),
      fan_out_(parts_.loop, parts_.log, parts_.registry, settings.registry.heartbeat),
      waits_(parts_.loop, [this] { look_at_waiters(); }),
      contest_looks_(parts_.loop, [this] { look_at_contests(); }),
      ticks_(parts_.loop, [this] { tick(); }),
      self_(std::make_shared<Service*>(this)) {
  for (const SiteSettings& site : settings.sites) {
    sites_.emplace(site.name, Site{site.hosts, ItemRate(site.rate, site.burst, site.reserve)});
  }
  ticks_.arm(kTick);
}

Service::~Service() { *self_ = nullptr; }

void Service::on_request(Request request, http::Reply reply) {
  const std::string path(request.head.path());
  const std::string& method = request.head.method;
  const std::vector<std::string_view> parts = split_path(path);
  const bool reads = request.reads();
  const auto is = [&](size_t n) { return parts.size() == n && parts[0] == "v1"; };
  if (is(4) && parts[1] == "sites" && parts[3] == "purge") {
    if (method != "POST") return reply.send(EndpointResponse::wrong_method("POST"));
    return purge(std::string(parts[2]), request, std::move(reply));
  }
  if (is(4) && parts[1] == "sites" && parts[3] == "purges") {
    if (!reads) return reply.send(EndpointResponse::wrong_method("GET, HEAD"));
    return audit(std::string(parts[2]), request, std::move(reply));
  }
  if (is(5) && parts[1] == "sites" && parts[3] == "purges") {
    if (!reads) return reply.send(EndpointResponse::wrong_method("GET, HEAD"));
    const std::string site(parts[2]);
    if (authorise(request, reply, scope_read, site) == nullptr) return;
    return receipt(site, std::string(parts[4]), std::move(reply));
  }
  if (is(2) && parts[1] == "nodes") {
    if (!reads) return reply.send(EndpointResponse::wrong_method("GET, HEAD"));
    if (authorise(request, reply, scope_read, "*") == nullptr) return;
    return nodes(std::move(reply));
  }
  if (is(3) && parts[1] == "nodes") {
    if (method != "PUT") return reply.send(EndpointResponse::wrong_method("PUT"));
    if (authorise(request, reply, scope_node, "") == nullptr) return;
    return beat(std::string(parts[2]), request, std::move(reply));
  }
  if (is(2) && parts[1] == "log") {
    if (method != "GET") return reply.send(EndpointResponse::wrong_method("GET"));
    if (authorise(request, reply, scope_node, "") == nullptr) return;
    return follow(request, std::move(reply));
  }
  reply.send(problem(404, "not-found", "There is no such resource here."));
}

// `site` empty: any; "*": the registry, which nodes may read too.
const Token* Service::authorise(const Request& request, http::Reply& reply, uint8_t scopes,
                                std::string_view site, int* status) {
  if (status != nullptr) *status = 401;
  const Token* token = find_token(tokens_, request.bearer().value_or(""));
  if (token == nullptr) {
    reply.send(EndpointResponse::unauthorized("A known bearer token is needed."));
    return nullptr;
  }
  if (status != nullptr) *status = 403;
  const bool by_node = site == "*" && token->allows(scope_node);
  if (!by_node && !token->allows(static_cast<Scope>(scopes))) {
    reply.send(problem(403, "scope", "This token has not the scope for it."));
    return nullptr;
  }
  if (!site.empty() && site != "*" && !token->allows_site(site)) {
    reply.send(problem(403, "site", "This token is not for this site."));
    return nullptr;
  }
  return token;
}

void Service::answered(const std::string& site, int status) {
  const std::string_view label = sites_.count(site) > 0 ? std::string_view(site) : "";
  parts_.metrics.purges.with({label, std::to_string(status)}).add();
}

void Service::tick() {
  if (parts_.registry.forget(parts_.loop.now())) {
    fan_out_.end_strangers();
    keep_registry();
  }
  look_at_waiters();  // some are met by time alone
  ticks_.arm(kTick);
}

void Service::drain() {
  for (Waiter& waiter : waiters_) waiter.until = parts_.loop.now();
  look_at_waiters();
  for (Contest& one : contests_) {
    one.reply.send(problem(503, "draining", "The service is about to end."));
  }
  contests_.clear();
  fan_out_.end_all();
}

// --- purges

void Service::purge(const std::string& site, const Request& request, http::Reply reply) {
  const auto count = [&](int status) { answered(site, status); };
  int refused = 0;
  const Token* token = authorise(request, reply, 0, site, &refused);
  if (token == nullptr) return count(refused);
  const auto found = sites_.find(site);
  if (found == sites_.end()) {
    count(404);
    return reply.send(problem(404, "unknown-site", "There is no such site here."));
  }
  if (request.body.size() > kMaxPurgeBody) {
    count(413);
    return reply.send(problem(413, "too-large", "A request is at most 64 KiB."));
  }
  std::variant<Purge, Refusal> parsed = parse_purge(request.body, found->second.hosts);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) {
    count(refusal->status);
    return reply.send(problem(refusal->status, refusal->name, refusal->detail));
  }
  Purge& asked = std::get<Purge>(parsed);
  bool everything = false;
  for (const PurgeItem& item : asked.items) {
    everything = everything || item.kind == Kind::all;
    if (token->allows(scope_of(item.kind))) continue;
    count(403);
    return reply.send(problem(
        403, "scope", "This token may not purge by " + std::string(to_text(item.kind)) + "."));
  }
  // An id made of the key: a repeated request is found in the log itself, after a restart too.
  const auto key = request.head.fields.find("idempotency-key");
  std::string id;
  if (key && !key->empty()) {
    if (key->size() > kMaxKey) {
      count(400);
      return reply.send(problem(400, "idempotency-key", "The key is at most 256 bytes."));
    }
    std::string text = site;
    text.append(1, '\0').append(token->name).append(1, '\0').append(*key);
    const Sha256 hash = sha256(text);
    id = hex({reinterpret_cast<const char*>(hash.data()), 16});
    if (pending_.count(id) > 0) {
      count(409);
      return reply.send(problem(409, "idempotency-in-progress",
                                "The request of this key is on its way to the disk."));
    }
    if (parts_.log.of_request(id)) {
      return repeat(site, id, asked, std::move(reply));
    }
  } else {
    const uint64_t random[2] = {parts_.random.next(), parts_.random.next()};
    id = hex({reinterpret_cast<const char*>(random), sizeof random});
  }
  const std::optional<Duration> later =
      found->second.rate.take(asked.items.size(), everything, parts_.loop.now());
  if (later) {
    count(429);
    EndpointResponse answer = problem(429, "rate", "This site's purge rate is reached.");
    const int64_t seconds = (later->count() + 999'999'999) / 1'000'000'000;
    answer.fields.set(http::FieldId::retry_after, std::to_string(std::max<int64_t>(1, seconds)));
    return reply.send(std::move(answer));
  }
  append(site, id, *token, std::move(asked), std::move(reply));
}

void Service::append(const std::string& site, const std::string& id, const Token& token,
                     Purge purge, http::Reply reply) {
  std::vector<Record> records;
  for (const PurgeItem& item : purge.items) {
    Record record;
    record.time_ms = parts_.loop.wall().ms();
    record.kind = item.kind;
    record.mode = purge.mode;
    record.site = site;
    record.text = item.text;
    record.actor = token.name;
    record.request = id;
    record.reason = purge.reason;
    records.push_back(std::move(record));
  }
  pending_.insert(id);
  auto held = std::make_shared<http::Reply>(std::move(reply));
  const Status queued = parts_.writer.submit(
      std::move(records),
      [self = self_, site, id, purge, held](Result<std::vector<Record>> durable) {
        if (*self != nullptr) {
          (*self)->durable(site, id, purge, std::move(durable), std::move(*held));
        }
      });
  if (queued.ok()) return;
  pending_.erase(id);
  answered(site, 503);
  EndpointResponse answer = problem(503, "log-busy", "Too many purges wait for the disk.");
  answer.fields.set(http::FieldId::retry_after, "1");
  held->send(std::move(answer));
}

void Service::durable(const std::string& site, const std::string& id, const Purge& purge,
                      Result<std::vector<Record>> records, http::Reply reply) {
  pending_.erase(id);
  log_failed_ = !records.ok();
  if (!records.ok()) {
    answered(site, 503);
    log::error("a purge cannot be made durable: " + describe(records.error()));
    EndpointResponse answer = problem(503, "log", "The log cannot be written now.");
    answer.fields.set(http::FieldId::retry_after, "1");
    return reply.send(std::move(answer));
  }
  const Position last = records->back().position;
  for (const Record& record : *records) {
    parts_.metrics.records.with({site, to_text(record.kind)}).add();
  }
  parts_.log.add(std::move(*records));
  times_.durable(last, parts_.loop.now());
  fan_out_.records_came();
  wait_for(site, id, purge.wait, purge.wait_timeout_ms, std::move(reply));
}

void Service::repeat(const std::string& site, const std::string& id, const Purge& purge,
                     http::Reply reply) {
  const LogView::Span span = *parts_.log.of_request(id);
  bool same = span.count == purge.items.size();
  for (size_t i = 0; same && i < span.count; ++i) {
    const Record& record = parts_.log.at(span.first + i);
    same = record.site == site && record.kind == purge.items[i].kind &&
           record.text == purge.items[i].text && record.mode == purge.mode;
  }
  if (!same) {
    answered(site, 409);
    return reply.send(problem(409, "idempotency-mismatch",
                              "Another request was made with this Idempotency-Key."));
  }
  wait_for(site, id, purge.wait, purge.wait_timeout_ms, std::move(reply));
}

}  // namespace bw::purge
