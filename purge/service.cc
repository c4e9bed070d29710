#include "purge/service.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include "core/base/digest.h"
#include "core/base/log.h"

namespace bw::purge {
namespace {

using http::EndpointResponse;
using text::Json;

constexpr size_t kMaxKnown = 100'000;
constexpr size_t kMaxWaiters = 10'000;
constexpr size_t kMaxAudit = 1000;
constexpr size_t kMaxKey = 256;
constexpr Duration kTick = std::chrono::seconds(1);

EndpointResponse problem(int status, std::string_view name, std::string_view detail) {
  return EndpointResponse::problem(status, name, detail);
}

EndpointResponse wrong_method(std::string_view allowed) {
  EndpointResponse answer = problem(405, "method", "This resource has other methods.");
  answer.fields.set(http::FieldId::allow, allowed);
  return answer;
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

// Written beside and renamed over, so that a crash leaves the old file or the new one.
Status write_file(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return errno_error(errno, "the registry's file cannot be opened");
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
    if (written < 0) {
      const int code = errno;
      ::close(fd);
      return errno_error(code, "the registry's file cannot be written");
    }
    done += static_cast<size_t>(written);
  }
  const int synced = ::fdatasync(fd);
  const int code = errno;
  ::close(fd);
  if (synced != 0) return errno_error(code, "the registry's file cannot be synced");
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    return errno_error(errno, "the registry's file cannot be renamed");
  }
  return {};
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
  const bool reads = method == "GET" || method == "HEAD";
  const auto is = [&](size_t n) { return parts.size() == n && parts[0] == "v1"; };
  if (is(4) && parts[1] == "sites" && parts[3] == "purge") {
    if (method != "POST") return reply.send(wrong_method("POST"));
    return purge(std::string(parts[2]), request, std::move(reply));
  }
  if (is(4) && parts[1] == "sites" && parts[3] == "purges") {
    if (!reads) return reply.send(wrong_method("GET"));
    return audit(std::string(parts[2]), request, std::move(reply));
  }
  if (is(5) && parts[1] == "sites" && parts[3] == "purges") {
    if (!reads) return reply.send(wrong_method("GET"));
    const std::string site(parts[2]);
    if (authorise(request, reply, scope_read, site) == nullptr) return;
    return receipt(site, std::string(parts[4]), std::move(reply));
  }
  if (is(2) && parts[1] == "nodes") {
    if (!reads) return reply.send(wrong_method("GET"));
    if (authorise(request, reply, scope_read, "*") == nullptr) return;
    return nodes(std::move(reply));
  }
  if (is(3) && parts[1] == "nodes") {
    if (method != "PUT") return reply.send(wrong_method("PUT"));
    if (authorise(request, reply, scope_node, "") == nullptr) return;
    return beat(std::string(parts[2]), request, std::move(reply));
  }
  if (is(2) && parts[1] == "log") {
    if (!reads) return reply.send(wrong_method("GET"));
    if (authorise(request, reply, scope_node, "") == nullptr) return;
    return follow(request, std::move(reply));
  }
  reply.send(problem(404, "not-found", "There is no such resource here."));
}

// `site` empty: any; "*": the registry, which nodes may read too.
const Token* Service::authorise(const Request& request, http::Reply& reply, uint8_t scopes,
                                std::string_view site) {
  const std::string given = request.head.fields.combined(http::FieldId::authorization).value_or("");
  const Token* token = find_token(tokens_, given);
  if (token == nullptr) {
    EndpointResponse answer = problem(401, "unauthorized", "A known bearer token is needed.");
    answer.fields.set(http::FieldId::www_authenticate, "Bearer");
    reply.send(std::move(answer));
    return nullptr;
  }
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

// --- purges

void Service::purge(const std::string& site, const Request& request, http::Reply reply) {
  const auto count = [&](int status) {
    const std::string label = sites_.count(site) > 0 ? site : "";
    parts_.metrics.purges.with({label, std::to_string(status)}).add();
  };
  const Token* token = authorise(request, reply, 0, site);
  if (token == nullptr) return count(403);
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
      count(200);
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
    parts_.metrics.records.with({site, to_text(item.kind)}).add();
    records.push_back(std::move(record));
  }
  pending_[id] = 1;
  auto held = std::make_shared<http::Reply>(std::move(reply));
  const Status queued = parts_.writer.submit(
      std::move(records), [self = self_, id, purge, held](Result<std::vector<Record>> durable) {
        if (*self != nullptr) (*self)->durable(id, purge, std::move(durable), std::move(*held));
      });
  if (queued.ok()) return;
  pending_.erase(id);
  EndpointResponse answer = problem(503, "log-busy", "Too many purges wait for the disk.");
  answer.fields.set(http::FieldId::retry_after, "1");
  held->send(std::move(answer));
}

void Service::durable(const std::string& id, const Purge& purge,
                      Result<std::vector<Record>> records, http::Reply reply) {
  pending_.erase(id);
  if (!records.ok()) {
    log::error("a purge cannot be made durable: " + describe(records.error()));
    EndpointResponse answer = problem(503, "log", "The log cannot be written now.");
    answer.fields.set(http::FieldId::retry_after, "1");
    return reply.send(std::move(answer));
  }
  const std::string site = records->front().site;
  const Position last = records->back().position;
  parts_.metrics.purges.with({site, purge.wait == Wait::none ? "202" : "200"}).add();
  parts_.log.add(std::move(*records));
  Known& known = known_[id];
  known.durable_at = parts_.loop.now();
  by_end_[last] = id;
  // The oldest lose their times, not their receipts.
  while (by_end_.size() > kMaxKnown) {
    known_.erase(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
  }
  fan_out_.records_came();
  wait_for(id, purge.wait, purge.wait_timeout_ms, std::move(reply));
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
    return reply.send(problem(409, "idempotency-mismatch",
                              "Another request was made with this Idempotency-Key."));
  }
  wait_for(id, purge.wait, purge.wait_timeout_ms, std::move(reply));
}

// --- receipts

Json Service::receipt_json(const std::string& id, bool* met, Wait wait) const {
  const LogView::Span span = *parts_.log.of_request(id);
  const Record& first = parts_.log.at(span.first);
  const Record& last = parts_.log.at(span.first + span.count - 1);
  const auto known = known_.find(id);
  static const std::map<std::string, MonoTime> kNobody;
  const Receipt receipt = make_receipt(
      parts_.registry.standings(first.site, parts_.log,
                                known == known_.end() ? kNobody : known->second.applied_at),
      last.position, known == known_.end() ? std::nullopt : known->second.durable_at,
      parts_.loop.now());
  *met = receipt.met(wait);
  Json body = Json::object();
  body.set("id", id);
  body.set("seq", Json::array().push(first.position.text()).push(last.position.text()));
  body.set("durable", true);
  body.set("mode", to_text(first.mode));
  body.set("items", static_cast<int64_t>(span.count));
  Json receipts = Json::array();
  Json laggards = Json::array();
  for (const NodeReceipt& node : receipt.nodes) {
    Json one = Json::object();
    one.set("node", node.node).set("pop", node.pop).set("role", node.shield ? "shield" : "edge");
    one.set("state", to_text(node.state)).set("applied", node.applied);
    one.set("applied_ms", node.applied_ms ? Json(*node.applied_ms) : Json());
    one.set("matched_estimate", Json());
    receipts.push(std::move(one));
    if (node.state == Delivery::lagging) laggards.push(node.node);
  }
  body.set("receipts", std::move(receipts));
  body.set("laggards", std::move(laggards));
  return body;
}

void Service::receipt(const std::string& site, const std::string& id, http::Reply reply) {
  const std::optional<LogView::Span> span = parts_.log.of_request(id);
  if (!span || parts_.log.at(span->first).site != site) {
    return reply.send(problem(404, "unknown-purge", "No purge of this site has this id."));
  }
  bool met = false;
  reply.send(EndpointResponse::json(200, receipt_json(id, &met, Wait::all).dump()));
}

void Service::wait_for(const std::string& id, Wait wait, int64_t timeout_ms, http::Reply reply) {
  bool met = false;
  Json body = receipt_json(id, &met, wait);
  if (wait == Wait::none) return reply.send(EndpointResponse::json(202, body.dump()));
  if (met) return reply.send(EndpointResponse::json(200, body.dump()));
  if (timeout_ms <= 0 || waiters_.size() >= kMaxWaiters) {
    return reply.send(EndpointResponse::json(202, body.dump()));
  }
  waiters_.push_back(
      {std::move(reply), id, wait, parts_.loop.now() + std::chrono::milliseconds(timeout_ms)});
  look_at_waiters();
}

void Service::look_at_waiters() {
  const MonoTime now = parts_.loop.now();
  std::optional<MonoTime> next;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    bool met = false;
    Json body = receipt_json(waiter->id, &met, waiter->wait);
    if (met || now >= waiter->until) {
      waiter->reply.send(EndpointResponse::json(met ? 200 : 202, body.dump()));
      waiter = waiters_.erase(waiter);
      continue;
    }
    if (!next || waiter->until < *next) next = waiter->until;
    ++waiter;
  }
  if (next) waits_.arm(std::max<Duration>(*next - now, std::chrono::milliseconds(1)));
}

void Service::audit(const std::string& site, const Request& request, http::Reply reply) {
  if (authorise(request, reply, scope_read, site) == nullptr) return;
  Position after;
  if (const std::optional<std::string> text = request.query("after")) {
    uint64_t sequence = 0;
    if (const std::optional<Position> position = Position::parse(*text)) {
      after = *position;
    } else {
      const auto [end, fault] =
          std::from_chars(text->data(), text->data() + text->size(), sequence);
      if (fault != std::errc() || end != text->data() + text->size()) {
        return reply.send(problem(400, "malformed", "after: SEQ or EPOCH.SEQ is needed."));
      }
      for (size_t i = 0; i < parts_.log.size(); ++i) {
        if (parts_.log.at(i).position.sequence() > sequence) break;
        after = parts_.log.at(i).position;
      }
    }
  }
  Json list = Json::array();
  for (size_t i = parts_.log.after(after); i < parts_.log.size() && list.size() < kMaxAudit; ++i) {
    const Record& record = parts_.log.at(i);
    if (record.site != site) continue;
    Json one = Json::object();
    one.set("seq", record.position.text()).set("time_ms", record.time_ms);
    one.set("kind", to_text(record.kind)).set("mode", to_text(record.mode));
    one.set("text", record.text).set("actor", record.actor).set("id", record.request);
    one.set("reason", record.reason);
    list.push(std::move(one));
  }
  Json body = Json::object();
  body.set("purges", std::move(list));
  reply.send(EndpointResponse::json(200, body.dump()));
}

// --- nodes

void Service::beat(const std::string& name, const Request& request, http::Reply reply) {
  const bool named =
      !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
      });
  if (!named) return reply.send(problem(400, "malformed", "The node's name isn't one."));
  std::string why;
  std::optional<Beat> beat = parse_beat(request.body, &why);
  if (!beat) return reply.send(problem(400, "malformed", why));
  const Registry::Node* before = parts_.registry.find(name);
  const Position applied_before =
      before != nullptr && before->beat.applied ? before->beat.applied->position : Position{};
  const std::optional<LogPoint> applied = beat->applied;
  switch (parts_.registry.beat(name, std::move(*beat), parts_.loop.now())) {
    case Registry::Outcome::name_taken:
      return reply.send(problem(409, "name-taken", "Another live instance has this name."));
    case Registry::Outcome::full:
      return reply.send(problem(503, "registry-full", "The registry holds no more nodes."));
    case Registry::Outcome::joined:
    case Registry::Outcome::left:
      keep_registry();
      break;
    case Registry::Outcome::fine:
      break;
  }
  if (applied && applied->position > applied_before && parts_.log.holds(*applied)) {
    for (auto purge = by_end_.upper_bound(applied_before);
         purge != by_end_.end() && purge->first <= applied->position; ++purge) {
      known_[purge->second].applied_at.try_emplace(name, parts_.loop.now());
    }
  }
  reply.send(EndpointResponse::json(200, "{}"));
  fan_out_.nonce_came(name);
  look_at_waiters();
}

void Service::nodes(http::Reply reply) {
  reply.send(
      EndpointResponse::json(200, parts_.registry.json(parts_.loop.now(), parts_.log).dump()));
}

void Service::follow(const Request& request, http::Reply reply) {
  const std::string node = request.query("node").value_or("");
  const bool follow = request.query("follow").value_or("") == "1";
  const std::optional<std::string> after = request.query("after");
  if (!after) {
    return fan_out_.follow(std::move(reply), node, parts_.log.size(), follow);
  }
  const std::optional<Position> position = Position::parse(*after);
  const std::optional<std::string> chain_text = request.query("chain");
  std::optional<Chain> chain;
  if (chain_text) chain = parse_chain(*chain_text);
  if (!position || (chain_text && !chain)) {
    return reply.send(problem(400, "malformed", "after: EPOCH.SEQ; chain: 32 hex digits."));
  }
  const bool held =
      chain ? parts_.log.holds({*position, *chain}) : *position <= parts_.log.end().position;
  if (held) {
    return fan_out_.follow(std::move(reply), node, parts_.log.after(*position), follow);
  }
  // A place on no history of ours. The first record of an epoch above it tells the node so.
  const Record& epoch = parts_.log.at(parts_.log.newest_epoch());
  if (epoch.position > *position) {
    return fan_out_.follow(std::move(reply), node, parts_.log.newest_epoch(), follow);
  }
  log::warning("node " + node + " offers " + position->text() +
               ", which isn't on this log: a higher epoch is opened");
  follow_from_new_epoch(position->epoch(), node, std::move(reply));
}

void Service::follow_from_new_epoch(uint32_t above, std::string node, http::Reply reply) {
  auto held = std::make_shared<http::Reply>(std::move(reply));
  const Status queued = parts_.writer.submit_epoch(
      above, parts_.loop.wall().ms(),
      [self = self_, node = std::move(node), held](Result<std::vector<Record>> opened) {
        Service* service = *self;
        if (service == nullptr) return;
        if (!opened.ok()) {
          return held->send(problem(503, "log", "The log cannot be written now."));
        }
        service->parts_.log.add(std::move(*opened));
        service->fan_out_.records_came();
        service->fan_out_.follow(std::move(*held), node, service->parts_.log.newest_epoch(), true);
      });
  if (!queued.ok()) held->send(problem(503, "log-busy", "Too many purges wait for the disk."));
}

void Service::keep_registry() {
  if (keeping_) {
    keep_again_ = true;
    return;
  }
  keeping_ = true;
  keep_again_ = false;
  const Status queued =
      parts_.executor.submit([loop = &parts_.loop, self = self_, file = parts_.registry_file,
                              text = parts_.registry.encode()] {
        const Status kept = write_file(file, text);
        loop->post([self, kept] {
          Service* service = *self;
          if (service == nullptr) return;
          if (!kept.ok()) log::error(describe(kept.error()));
          service->keeping_ = false;
          if (service->keep_again_) service->keep_registry();
        });
      });
  if (!queued.ok()) keeping_ = false;
}

void Service::tick() {
  if (parts_.registry.forget(parts_.loop.now())) keep_registry();
  look_at_waiters();  // some are met by time alone
  ticks_.arm(kTick);
}

}  // namespace bw::purge
