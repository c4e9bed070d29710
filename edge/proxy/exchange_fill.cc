#include "edge/proxy/exchange.h"

#include <algorithm>
#include <utility>

#include "edge/cache/vary.h"
#include "edge/proxy/coalescer.h"
#include "edge/proxy/forward.h"

namespace bw::edge {
namespace {

using http::FieldId;

// After so many fetches that a purge overtook, one that is shared with nobody and not stored.
constexpr int kMaxRounds = 4;

}  // namespace

// --- fill

void Exchange::fetch() {
  if (rounds_ == 0) {
    if (const auto refusal = admit_miss(worker_, *request_, admission_)) {
      answer(*refusal);
      return;
    }
  }
  if (worker_.store().hit_for_miss(key_, worker_.loop().now())) {
    pass(Reason::hit_for_miss);
    return;
  }
  if (++rounds_ > kMaxRounds) {
    pass(Reason::purged_meanwhile);
    return;
  }
  std::optional<MonoTime> begun_after;
  if (lags()) begun_after = worker_.loop().now() - admission_.route->policy->lag_limit;
  const Position need = need_;
  const Coalescer::Decision decision = worker_.node().coalescer.join_or_lead(
      slot_.value_or(found_.variant),
      [&](const Fill& fill) { return fill.may_join(need, begun_after); },
      [&]() -> std::shared_ptr<Fill> {
        // Another fill may have ended between our look and this lock.
        if (reason_ == Reason::absent || reason_ == Reason::vary) {
          Found again = worker_.store().find(lookup());
          if (again.verdict == Found::Verdict::fresh && again.proof >= need) {
            found_ = std::move(again);
            return nullptr;
          }
        }
        const bool validates = found_.object && found_.object->meta().validators.any();
        return std::make_shared<Fill>(
            worker_, make_plan(validates && !through_ && !forget_stored_ ? FetchKind::revalidate
                                                                         : FetchKind::miss,
                               through_));
      });
  if (decision.fill == nullptr) {
    on_found(std::move(found_));
    return;
  }
  leads_ = decision.leads;
  joined_ = joined(worker_.store().purged().applied(), need_);
  if (!leads_) worker_.metrics_of(*admission_.site).coalesced->add();
  reader_ = decision.fill->join(worker_.loop(), *this);
  if (leads_) decision.fill->start();
}

FillPlan Exchange::make_plan(FetchKind kind, bool through) {
  Store& store = worker_.store();
  FillPlan plan;
  plan.policy = admission_.route->policy;
  plan.key = key_;
  plan.slot = slot_.value_or(found_.variant);
  // The order counts: start before the first byte is sent.
  plan.start = fill_start(store.purged().read(admission_.site->id), need_);
  plan.generation = store.begin_fetch();
  plan.client = *request_;
  plan.client.method = "GET";
  plan.through = through;
  http::RequestHead head = forward_request(*request_, {.node = worker_.node().name,
                                                       .route = *admission_.route,
                                                       .client = admission_.client,
                                                       .peer = admission_.peer,
                                                       .peer_trusted = admission_.peer_trusted,
                                                       .may_store = true,
                                                       .key = &key_,
                                                       .request_id = request_id()});
  const bool validates =
      found_.object && !through && !forget_stored_ && found_.object->meta().validators.any();
  if (validates && kind != FetchKind::miss) {
    plan.stored = found_.object;
    set_conditions(head.fields, plan.stored->meta().validators);
  }
  plan.request = tier_request(std::move(head), kind, plan.start.need);
  return plan;
}

TierRequest Exchange::tier_request(http::RequestHead head, FetchKind kind, Position need) {
  TierRequest request;
  request.snapshot = admission_.snapshot;
  request.site = admission_.site;
  request.route = admission_.route;
  request.head = std::move(head);
  request.has_body = request.head.has_body;
  request.scheme = admission_.scheme;
  request.client = admission_.client.ip.text();
  request.need = need;
  request.key_hash = key_.hash.lo;
  request.kind = kind;
  return request;
}

void Exchange::on_fill() {
  if (over_ || reader_ == nullptr) return;
  if (delivery_ != nullptr) {
    delivery_->on_fill();
    return;
  }
  if (answered_) return;
  switch (reader_->fill().state()) {
    case FillState::connecting:
      return;
    case FillState::validated:
      deliver_validated();
      return;
    case FillState::body:
    case FillState::complete:
      on_fill_head();
      return;
    case FillState::failed:
      fill_failed(reader_->fill().failure());
      return;
  }
}

// Judged for this reader, before its first byte.
void Exchange::on_fill_head() {
  const std::shared_ptr<const FillHead> head = reader_->fill().head();
  const Marks known = worker_.store().purged().newest(key_.purge_keys(head->tags));
  const FillStart& start = reader_->fill().plan().start;
  if (must_detach(start, head->pos, need_, joined_, known, head->stale)) {
    fetch_anew();
    return;
  }
  if (!leads_ && !follow(*head)) return;
  if (head->head.status >= 500 && deliver_stale(Reason::stale_if_error)) return;
  deliver_fill(head);
}

// Whether another's response answers this request too; else it goes its own way.
bool Exchange::follow(const FillHead& head) {
  if (!head.shareable) {
    // Fetched by each on its own, in parallel.
    pass(head.not_stored);
    return false;
  }
  const FillPlan& plan = reader_->fill().plan();
  const Hash128 mine = variant_key(key_.hash, head.vary, *request_);
  if (mine != variant_key(plan.key.hash, head.vary, plan.client)) {
    // Those who want the same variant find each other there.
    slot_ = mine;
    reader_.reset();
    look_up();
    return false;
  }
  if (reader_->overrun()) {
    reader_.reset();
    look_up();
    return false;
  }
  const WallTime now = worker_.loop().wall();
  const Judgement judgement = judge(*request_, head.head, *admission_.route->policy, {now, now});
  if (!judgement.storable()) {
    pass(judgement.refused);
    return false;
  }
  return true;
}

void Exchange::fetch_anew() {
  reader_.reset();
  need_ = std::max(need_, joined_);
  look_up();
}

void Exchange::fill_failed(const Fill::Failure& failure) {
  if (failure.again) {
    forget_stored_ = true;
    fetch_anew();
    return;
  }
  if (deliver_stale(Reason::stale_if_error)) return;
  reader_.reset();
  record_.upstream_status = 0;
  const int status = status_of(failure.error);
  const bool lag = found_.object && lags();
  fail(lag ? 504 : status, status == 503 ? "origin-budget" : "upstream",
       std::string("The upstream did not answer: ") + std::string(failure.error.text) + '.',
       lag             ? Reason::lag
       : status == 503 ? Reason::origin_budget
                       : reason_);
}

// By the lag that find read or by that of now.
bool Exchange::lags() const {
  const SitePolicy& policy = *admission_.route->policy;
  if (policy.on_lag == OnLag::serve) return false;
  return found_.in_lag || worker_.store().purged().lag(worker_.loop().now()) > policy.lag_limit;
}

bool Exchange::deliver_stale(Reason reason) {
  const bool may =
      found_.object && !through_ &&
      (found_.stale_if_error || admission_.snapshot->fallback == ShieldFallback::stale) &&
      found_.verdict == Found::Verdict::revalidate;
  if (!may) return false;
  if (lags()) {
    const SitePolicy& policy = *admission_.route->policy;
    const MonoTime validated = found_.object->last_validated();
    const bool recent = validated.ns != 0 && worker_.loop().now() - validated <= policy.lag_limit;
    if (policy.on_lag == OnLag::fail || !recent) return false;
  }
  const PurgedSince& purged = worker_.store().purged();
  const Seen seen = purged.read(admission_.site->id);
  if (purged.find(seen, *found_.object) == PurgeVerdict::purged) return false;
  reader_.reset();
  record_.verdict = Verdict::stale;
  reason_ = reason;
  deliver_object(
      found_.object,
      {.node = worker_.node().cache, .hit = true, .ttl = found_.ttl, .detail = to_text(reason)},
      true, std::max(found_.object->pos(), seen.applied));
  return true;
}

void Exchange::deliver_validated() {
  const Ref<Object> object = reader_->fill().object();
  const std::shared_ptr<const FillHead> head = reader_->fill().head();
  const Marks known = worker_.store().purged().newest(object->purge_keys());
  const FillStart& start = reader_->fill().plan().start;
  const bool other_variant =
      !leads_ && variant_key(key_.hash, object->meta().vary, *request_) != object->meta().variant;
  if (other_variant || must_detach(start, head->pos, need_, joined_, known)) {
    fetch_anew();
    return;
  }
  upstream_ = head->upstream;
  record_.tries = head->tries;
  record_.upstream_status = 304;
  record_.verdict = Verdict::revalidated;
  filled_ = worker_.loop().now();
  const CacheStatus status{.node = worker_.node().cache,
                           .fwd = forwarded_for(reason_),
                           .fwd_status = 304,
                           .stored = true,
                           .collapsed = !leads_,
                           .ttl = ttl_s(object->meta().freshness, worker_.loop().wall()),
                           .detail = to_text(reason_)};
  reader_.reset();
  deliver_object(object, status, false, head->pos);
}

void Exchange::deliver_fill(std::shared_ptr<const FillHead> head) {
  filled_ = worker_.loop().now();
  upstream_ = head->upstream;
  record_.upstream_status = head->head.status;
  record_.tries = head->tries;
  record_.served_by = head->from_shield ? ServedBy::shield : ServedBy::origin;
  record_.verdict = Verdict::miss;
  CacheStatus status{.node = worker_.node().cache,
                     .fwd = forwarded_for(reason_),
                     .fwd_status = head->head.status == 200 ? 0 : head->head.status,
                     .stored = head->not_stored == Reason::none,
                     .collapsed = !leads_};
  if (head->not_stored != Reason::none) {
    status.detail = to_text(head->not_stored);
  } else if (reason_ != Reason::absent) {
    status.detail = to_text(reason_);
  }
  const Part part =
      choose_part(*request_, head->head.status, head->validators, head->head.content_length);
  const std::string cache_status =
      append_cache_status(head->cache_status, cache_status_member(status));
  AnswerFacts facts = answer_facts(cache_status);
  facts.size = head->head.content_length;
  // Age counts on while the response waits at a tier below (RFC 9111 section 5.1).
  if (head->head.fields.has(FieldId::age)) {
    facts.age = age_to_send_s(head->freshness, worker_.loop().wall());
  }
  http::ResponseHead answer = make_answer(head->head.fields, part, facts);
  if (head->strip_set_cookie && !leads_) answer.fields.remove(FieldId::set_cookie);
  say_position(answer, head->pos, head->stale);
  add_last_fields(answer);
  answered_ = true;
  stream_.send_head(answer);
  if (!part.body) {
    reader_.reset();
    over_ = true;
    stream_.finish();
    return;
  }
  delivery_ = std::make_unique<Delivery>(worker_.loop(), stream_, *this);
  delivery_->from_fill(*reader_, part);
}

}  // namespace bw::edge
