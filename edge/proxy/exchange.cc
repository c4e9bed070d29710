#include "edge/proxy/exchange.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/digest.h"
#include "core/http/endpoint.h"
#include "edge/cache/vary.h"
#include "edge/proxy/coalescer.h"
#include "edge/proxy/forward.h"

namespace bw::edge {
namespace {

using http::FieldId;

constexpr Duration kPurgePoll = std::chrono::milliseconds(2);

}  // namespace

Exchange::Exchange(Worker& worker, http::ServerStream& stream, const Entrance::Facts& entrance)
    : worker_(worker),
      stream_(stream),
      entrance_(entrance),
      request_(&stream.request()),
      key_(worker.take_key()),
      begun_(worker.loop().now()) {
  record_.time = worker.loop().wall();
}

Exchange::~Exchange() {
  if (self_ != nullptr) *self_ = nullptr;
  finish();
  worker_.give_key(std::move(key_));
}

void Exchange::start() {
  admit(worker_, stream_, entrance_, admission_);
  need_ = admission_.need;
  if (admission_.refusal) {
    answer(*admission_.refusal);
    return;
  }
  const SitePolicy& policy = *admission_.route->policy;
  if (admission_.scheme != request_->scheme || !policy.strip_cookies.empty()) {
    own_ = std::make_unique<http::RequestHead>(*request_);
    own_->scheme = std::string(admission_.scheme);
    strip_cookies(own_->fields, policy.strip_cookies);
    request_ = own_.get();
  }
  if (!may_look_up()) {
    const bool method = request_->method != "GET" && request_->method != "HEAD";
    pass(method ? Reason::method : Reason::rule);
    return;
  }
  make_key(policy, *request_, key_);
  look_up();
}

bool Exchange::may_look_up() const {
  return (request_->method == "GET" || request_->method == "HEAD") && !request_->has_body &&
         admission_.route->policy->stores;
}

// --- the client's side

void Exchange::on_body(std::string_view piece) {
  record_.bytes_in += piece.size();
  if (pass_ != nullptr) pass_->on_body(piece);
}

void Exchange::on_body_end(const http::FieldList& trailers) {
  if (pass_ != nullptr) pass_->on_body_end(trailers);
}

void Exchange::on_writable() {
  if (over_) return;
  if (delivery_ != nullptr) delivery_->on_writable();
  if (pass_ != nullptr) pass_->on_writable();
}

void Exchange::on_abort(Error error) {
  over_ = true;
  if (record_.status == 0) record_.status = error.kind == Error::Kind::timeout ? 408 : 499;
  if (delivery_ != nullptr) {
    delivery_->stop();
    record_.bytes_out = delivery_->sent();
  }
  if (pass_ != nullptr) record_.bytes_out = std::max(record_.bytes_out, pass_->sent());
  reader_.reset();
  pass_.reset();
  finish();
}

void Exchange::on_sent() { finish(); }

// --- look up

Lookup Exchange::lookup() const {
  return {*admission_.route->policy, key_, *request_, worker_.loop().now(), worker_.loop().wall()};
}

void Exchange::look_up() {
  Found found = worker_.store().find(lookup());
  const bool absent = found.verdict == Found::Verdict::miss &&
                      (found.reason == Reason::absent || found.reason == Reason::vary);
  if (!absent || !worker_.store().has_disk()) {
    on_found(std::move(found));
    return;
  }
  worker_.store().find_on_disk(lookup(), admission_.route->policy,
                               guarded([](Exchange& exchange, Found later) {
                                 if (!exchange.over_) exchange.on_found(std::move(later));
                               }));
}

void Exchange::on_found(Found found) {
  found_ = std::move(found);
  reason_ = found_.reason;
  looked_up_ = worker_.loop().now();
  const Found::Verdict verdict = found_.verdict;
  const bool usable = verdict == Found::Verdict::fresh || verdict == Found::Verdict::swr;
  if (usable && found_.proof >= need_) {
    const bool stale = verdict == Found::Verdict::swr;
    CacheStatus status{.node = worker_.node().cache, .hit = true, .ttl = found_.ttl};
    if (stale) status.detail = to_text(Reason::swr);
    if (found_.in_lag) status.detail = to_text(Reason::lag);
    record_.verdict = stale ? Verdict::stale : Verdict::hit;
    if (stale) refresh_in_background();
    deliver_object(found_.object, status, stale, found_.proof);
    return;
  }
  if (verdict == Found::Verdict::lag_fail) {
    fail(503, "lag", "Purges lag and this site fails closed.", Reason::lag);
    return;
  }
  if (only_if_cached(*request_, *admission_.route->policy)) {
    fail(504, "only-if-cached", "Nothing stored answers this request.", reason_);
    return;
  }
  if (worker_.store().purged().applied() < need_) {
    wait_for_purge();
    return;
  }
  fetch();
}

// A tier asks for a purge that this node hasn't heard of yet: it is usually on its way.
void Exchange::wait_for_purge() {
  const MonoTime now = worker_.loop().now();
  if (timer_ == nullptr) {
    wait_until_ = now + worker_.node().tier_wait;
    timer_ = std::make_unique<net::Timer>(worker_.loop(), [this] {
      if (over_) return;
      if (worker_.store().purged().applied() >= need_) {
        look_up();
      } else {
        wait_for_purge();
      }
    });
  }
  if (now < wait_until_) {
    timer_->arm(kPurgePoll);
    return;
  }
  through_ = true;
  fetch();
}

void Exchange::refresh_in_background() {
  const Coalescer::Decision decision = worker_.node().coalescer.join_or_lead(
      found_.variant, [](const Fill&) { return true; },
      [&]() -> std::shared_ptr<Fill> {
        return std::make_shared<Fill>(worker_, make_plan(FetchKind::refresh, false));
      });
  if (decision.leads) decision.fill->start();
}

// --- answers of this node

void Exchange::fail(int status, std::string_view name, std::string_view detail, Reason reason) {
  reason_ = reason;
  Refusal refusal{.status = status, .name = name, .detail = std::string(detail)};
  refusal.verdict = Verdict::error;
  answer(refusal);
}

void Exchange::answer(const Refusal& refusal) {
  record_.verdict = refusal.verdict;
  http::ResponseHead head;
  std::string body(refusal.body);
  head.status = refusal.status;
  if (!refusal.name.empty()) {
    http::EndpointResponse problem =
        http::EndpointResponse::problem(refusal.status, refusal.name, refusal.detail);
    head.fields = std::move(problem.fields);
    body = std::move(problem.body);
    head.fields.set(FieldId::x_request_id, request_id());
    head.fields.set(FieldId::cache_control, "no-store");
  } else if (!refusal.content_type.empty()) {
    head.fields.set(FieldId::content_type, refusal.content_type);
  }
  if (!refusal.location.empty()) head.fields.set(FieldId::location, refusal.location);
  if (!refusal.allow.empty()) head.fields.set(FieldId::allow, refusal.allow);
  if (refusal.status == 503) head.fields.set(FieldId::retry_after, "1");
  if (refusal.verdict == Verdict::error && reason_ != Reason::none) {
    head.fields.set(FieldId::cache_status, cache_status_member({.node = worker_.node().cache,
                                                                .fwd = forwarded_for(reason_),
                                                                .detail = to_text(reason_)}));
  }
  if (http::response_has_body("GET", refusal.status)) head.content_length = body.size();
  add_last_fields(head);
  answered_ = true;
  over_ = true;
  stream_.send_head(head);
  if (!body.empty() && request_->method != "HEAD" &&
      http::response_has_body(request_->method, refusal.status)) {
    record_.bytes_out = body.size();
    stream_.send_body(Slice::copy_of(body));
  }
  stream_.finish();
}

AnswerFacts Exchange::answer_facts(std::string_view cache_status) const {
  return {.via = worker_.node().via,
          .tier = admission_.tier,
          .site = admission_.site,
          .route = admission_.route,
          .cache_status = cache_status};
}

void Exchange::say_position(http::ResponseHead& head, Position position, bool stale) const {
  if (!admission_.tier) return;
  head.fields.set(FieldId::breakwater_purge_seq, position_text(position));
  if (stale) head.fields.set(FieldId::breakwater_stale, "1");
}

void Exchange::add_last_fields(http::ResponseHead& head) {
  record_.status = head.status;
  for (const LimitSeen& seen : admission_.limits) {
    add_limit_fields(head.fields, *seen.rule, seen.decision);
  }
}

// --- finish

// Of a trusted proxy or tier, else made.
std::string_view Exchange::request_id() {
  if (!request_id_.empty()) return request_id_;
  if (admission_.peer_trusted || admission_.tier) {
    const auto given = stream_.request().fields.find(FieldId::x_request_id);
    if (given && given->size() <= 128) request_id_ = *given;
  }
  if (request_id_.empty()) {
    const uint64_t parts[2] = {worker_.random().next(), worker_.random().next()};
    request_id_ = hex({reinterpret_cast<const char*>(parts), sizeof parts});
  }
  return request_id_;
}

void Exchange::finish() {
  if (finished_) return;
  finished_ = true;
  const MonoTime now = worker_.loop().now();
  NodeParts& node = worker_.node();
  if (admission_.site != nullptr) {
    const SiteMetrics& metrics = worker_.metrics_of(*admission_.site);
    metrics.requests[static_cast<size_t>(record_.verdict)]->add();
    const bool missed = record_.verdict == Verdict::miss ||
                        record_.verdict == Verdict::revalidated || record_.verdict == Verdict::pass;
    if (missed) metrics.misses[static_cast<size_t>(reason_)]->add();
    charge_bytes(worker_, admission_, record_.bytes_out);
  }
  record_.total = now - begun_;
  node.metrics.seconds.observe(record_.total);
  if (worker_.access() == nullptr) return;
  if (looked_up_.ns != 0) record_.lookup = looked_up_ - begun_;
  if (filled_.ns != 0) record_.fill = filled_ - looked_up_;
  record_.deliver = now - std::max({begun_, looked_up_, filled_});
  record_.site = admission_.site == nullptr ? std::string_view() : admission_.site->name;
  record_.client = admission_.client.ip;
  record_.tls = entrance_.tls != nullptr;
  record_.request = request_;
  record_.reason = reason_;
  record_.upstream = upstream_;
  record_.request_id = request_id();
  worker_.access()->write(record_);
}

}  // namespace bw::edge
