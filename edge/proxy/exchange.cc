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

// After so many fetches that a purge overtook, one that is shared with nobody and not stored.
constexpr int kMaxRounds = 4;
constexpr Duration kPurgePoll = std::chrono::milliseconds(2);

}  // namespace

template <typename Call>
auto Exchange::guarded(Call call) {
  if (self_ == nullptr) self_ = std::make_shared<Exchange*>(this);
  return [loop = &worker_.loop(), self = self_, call = std::move(call)](auto result) mutable {
    loop->post(
        [self = std::move(self), call = std::move(call), result = std::move(result)]() mutable {
          if (*self != nullptr) call(**self, std::move(result));
        });
  };
}

Exchange::Exchange(Worker& worker, http::ServerStream& stream, const Entrance::Facts& entrance)
    : worker_(worker),
      stream_(stream),
      entrance_(entrance),
      request_(&stream.request()),
      begun_(worker.loop().now()) {
  record_.time = worker.loop().wall();
}

Exchange::~Exchange() {
  if (self_ != nullptr) *self_ = nullptr;
  finish();
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
    own_->scheme = admission_.scheme;
    strip_cookies(own_->fields, policy.strip_cookies);
    request_ = own_.get();
  }
  if (!may_look_up()) {
    const bool method = request_->method != "GET" && request_->method != "HEAD";
    pass(method ? Reason::method : Reason::rule);
    return;
  }
  key_ = make_key(policy, *request_);
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
    CacheStatus status{.node = worker_.node().name, .hit = true, .ttl = found_.ttl};
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

// --- fill

void Exchange::fetch() {
  if (std::optional<Refusal> refusal = admit_miss(worker_, *request_, admission_)) {
    answer(*refusal);
    return;
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
  if (found_.in_lag) begun_after = worker_.loop().now() - admission_.route->policy->lag_limit;
  const Position need = need_;
  const Coalescer::Decision decision = worker_.node().coalescer.join_or_lead(
      found_.variant, [&](const Fill& fill) { return fill.may_join(need, begun_after); },
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
  if (!leads_) worker_.node().metrics.site(admission_.site->name).coalesced->add();
  reader_ = decision.fill->join(worker_.loop(), *this);
  if (leads_) decision.fill->start();
}

FillPlan Exchange::make_plan(FetchKind kind, bool through) {
  Store& store = worker_.store();
  FillPlan plan;
  plan.policy = admission_.route->policy;
  plan.key = key_;
  plan.slot = found_.variant;
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
  if (!leads_ && !may_share(*head)) {
    // Another variant is looked up by the names that are known now; what isn't shareable at all
    // is fetched by each on its own, in parallel.
    reader_.reset();
    if (head->shareable) {
      look_up();
    } else {
      pass(head->not_stored);
    }
    return;
  }
  if (head->head.status >= 500 && deliver_stale(Reason::stale_if_error)) return;
  deliver_fill(head);
}

bool Exchange::may_share(const FillHead& head) const {
  if (!head.shareable || reader_->overrun()) return false;
  const FillPlan& plan = reader_->fill().plan();
  if (variant_key(key_.hash, head.vary, *request_) !=
      variant_key(plan.key.hash, head.vary, plan.client)) {
    return false;
  }
  const WallTime now = worker_.loop().wall();
  return judge(*request_, head.head, *admission_.route->policy, {now, now}).storable();
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
  const bool lag = found_.in_lag;
  fail(lag ? 504 : status, status == 503 ? "origin-budget" : "upstream",
       std::string("The upstream did not answer: ") + std::string(failure.error.text) + '.',
       lag             ? Reason::lag
       : status == 503 ? Reason::origin_budget
                       : reason_);
}

// Lawful by the lag that find read and by that of now.
bool Exchange::deliver_stale(Reason reason) {
  const bool may =
      found_.object && !through_ &&
      (found_.stale_if_error || admission_.snapshot->fallback == ShieldFallback::stale) &&
      found_.verdict == Found::Verdict::revalidate;
  if (!may) return false;
  const PurgedSince& purged = worker_.store().purged();
  const Seen seen = purged.read(admission_.site->id);
  if (purged.find(seen, *found_.object) == PurgeVerdict::purged) return false;
  reader_.reset();
  record_.verdict = Verdict::stale;
  reason_ = reason;
  deliver_object(
      found_.object,
      {.node = worker_.node().name, .hit = true, .ttl = found_.ttl, .detail = to_text(reason)},
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
  const CacheStatus status{.node = worker_.node().name,
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
  CacheStatus status{.node = worker_.node().name,
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

// --- deliver

void Exchange::deliver_object(Ref<Object> object, CacheStatus status, bool stale, Position proof) {
  const ObjectMeta& meta = object->meta();
  if (record_.served_by == ServedBy::none) {
    record_.served_by = object->in_memory() ? ServedBy::memory : ServedBy::disk;
  }
  Part part = choose_part(*request_, meta.status, meta.validators, object->size());
  const std::string cache_status = cache_status_member(status);
  AnswerFacts facts = answer_facts(cache_status);
  facts.size = object->size();
  facts.age = age_to_send_s(meta.freshness, worker_.loop().wall());
  http::ResponseHead head = make_answer(meta.fields, part, facts);
  say_position(head, proof, stale);
  add_last_fields(head);
  found_.object = std::move(object);
  if (part.body && part.length > 0 && !found_.object->in_memory()) {
    read_first_piece(part, std::move(head));
  } else {
    send_object(part, head, {});
  }
}

// A body whose checksum fails is noticed before the head is sent, and fetched instead.
void Exchange::read_first_piece(Part part, http::ResponseHead head) {
  const Ref<Object> object = found_.object;
  const auto length = static_cast<size_t>(std::min<uint64_t>(part.length, 256 * 1024));
  object->source()->read(
      part.offset, length,
      guarded([part, head = std::move(head), object](Exchange& exchange, Result<Slice> first) {
        if (exchange.over_) return;
        if (first.ok()) {
          exchange.send_object(part, head, std::move(*first));
          return;
        }
        exchange.worker_.store().erase(*object);
        exchange.found_.object = {};
        exchange.found_.verdict = Found::Verdict::miss;
        exchange.reason_ = Reason::absent;
        exchange.record_.served_by = ServedBy::none;
        exchange.forget_stored_ = true;
        exchange.fetch();
      }));
}

void Exchange::send_object(const Part& part, const http::ResponseHead& head, Slice first) {
  answered_ = true;
  stream_.send_head(head);
  if (!part.body || part.length == 0) {
    over_ = true;
    stream_.finish();
    return;
  }
  delivery_ = std::make_unique<Delivery>(worker_.loop(), stream_, *this);
  delivery_->from_object(found_.object, part.offset, part.length, std::move(first));
}

void Exchange::on_delivered(std::optional<Error> error) {
  over_ = true;
  record_.bytes_out = delivery_->sent();
  if (error && error->side == Error::Side::storage && found_.object) {
    worker_.store().erase(*found_.object);
  }
  reader_.reset();
  // A stream that was aborted tells nothing more.
  if (error) finish();
}

void Exchange::on_overrun(uint64_t) {
  Store& store = worker_.store();
  const uint64_t generation = reader_->fill().plan().generation;
  const bool on_disk = reader_->fill().keeps_on_disk() && store.has_disk();
  reader_.reset();
  const auto go_on = [generation](Exchange& exchange, Found found) {
    if (exchange.over_) return;
    if (found.object && found.object->meta().generation == generation) {
      exchange.found_.object = found.object;
      exchange.delivery_->resume_from(found.object);
      return;
    }
    const Error error{.kind = Error::Kind::not_found,
                      .side = Error::Side::self,
                      .text = "the rest of a slow reader's object is not stored"};
    exchange.over_ = true;
    exchange.record_.bytes_out = exchange.delivery_->sent();
    exchange.stream_.abort(error);
    exchange.finish();
  };
  if (!on_disk) {
    guarded(go_on)(Found{});
    return;
  }
  // Behind the write of the object itself.
  store.disk()->flush([done = guarded([go_on](Exchange& exchange, int) {
                         if (exchange.over_) return;
                         exchange.worker_.store().find_on_disk(exchange.lookup(),
                                                               exchange.admission_.route->policy,
                                                               exchange.guarded(go_on));
                       })]() mutable { done(0); });
}

// --- pass

void Exchange::pass(Reason reason) {
  reason_ = reason;
  reader_.reset();
  record_.verdict = Verdict::pass;
  looked_up_ = worker_.loop().now();
  if (key_.text.empty()) key_ = make_key(*admission_.route->policy, *request_);
  http::RequestHead head = forward_request(*request_, {.node = worker_.node().name,
                                                       .route = *admission_.route,
                                                       .client = admission_.client,
                                                       .peer = admission_.peer,
                                                       .peer_trusted = admission_.peer_trusted,
                                                       .may_store = false,
                                                       .key = nullptr,
                                                       .request_id = request_id()});
  const Seen seen = worker_.store().purged().read(admission_.site->id);
  TierRequest request =
      tier_request(std::move(head), FetchKind::pass, fill_start(seen, need_).need);
  pass_ = std::make_unique<Pass>(worker_, stream_, std::move(request),
                                 admission_.site->max_body_size, *this);
  pass_->start();
}

bool Exchange::on_pass_head(const http::ResponseHead& head) {
  filled_ = worker_.loop().now();
  upstream_ = pass_->fetch().upstream();
  record_.upstream_status = head.status;
  record_.tries = pass_->fetch().tries();
  record_.served_by = pass_->fetch().from_shield() ? ServedBy::shield : ServedBy::origin;
  invalidate(head);
  http::ResponseHead answer = head;
  http::remove_hop_by_hop(answer.fields);
  remove_tier_fields(answer.fields);
  const std::string received = answer.fields.combined(FieldId::cache_status).value_or("");
  const CacheStatus status{.node = worker_.node().name,
                           .fwd = forwarded_for(reason_),
                           .fwd_status = head.status == 200 ? 0 : head.status,
                           .detail = to_text(reason_)};
  const std::string cache_status = append_cache_status(received, cache_status_member(status));
  AnswerFacts facts = answer_facts(cache_status);
  dress(answer.fields, facts);
  say_position(answer, worker_.store().purged().applied(), false);
  add_last_fields(answer);
  answered_ = true;
  stream_.send_head(answer);
  return true;
}

// An unsafe method that didn't fail invalidates its own URL, and those it names on this host
// (RFC 9111 section 4.4), before anyone hears of its success.
void Exchange::invalidate(const http::ResponseHead& head) {
  if (!admission_.site->invalidates || http::is_safe_method(request_->method)) return;
  if (head.status < 200 || head.status >= 400) return;
  PurgedSince& purged = worker_.store().purged();
  const auto gone = [&](const Hash128& url) {
    const PurgeChanges changes = purged.invalidate_local(admission_.site->id, url);
    if (worker_.node().keep_local) worker_.node().keep_local(changes);
  };
  gone(key_.url);
  for (const FieldId id : {FieldId::location, FieldId::content_location}) {
    const std::optional<std::string_view> value = head.fields.find(id);
    if (!value) continue;
    std::string_view target = *value;
    for (const std::string_view scheme : {"http://", "https://"}) {
      if (!target.starts_with(scheme)) continue;
      target.remove_prefix(scheme.size());
      const size_t slash = std::min(target.find('/'), target.size());
      if (normalise_host(target.substr(0, slash)) != normalise_host(request_->authority)) {
        target = {};
      } else {
        target.remove_prefix(slash);
      }
      break;
    }
    if (!target.starts_with('/') || target.starts_with("//")) continue;
    http::RequestHead other = *request_;
    other.target = target.substr(0, target.find('#'));
    gone(make_key(*admission_.route->policy, other).url);
  }
}

void Exchange::on_passed(std::optional<Error> error) {
  over_ = true;
  record_.bytes_out = pass_->sent();
  if (error) finish();
}

void Exchange::on_pass_failed(Error error) {
  if (error.side == Error::Side::client && error.kind == Error::Kind::too_large) {
    fail(413, "body-size", error.text, reason_);
    return;
  }
  record_.tries = pass_->fetch().tries();
  const int status = status_of(error);
  fail(status, status == 503 ? "origin-budget" : "upstream",
       std::string("The upstream did not answer: ") + std::string(error.text) + '.',
       status == 503 ? Reason::origin_budget : reason_);
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
    head.fields.set(FieldId::cache_status, cache_status_member({.node = worker_.node().name,
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
  return {.node = worker_.node().name,
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
    const SiteMetrics& metrics = node.metrics.site(admission_.site->name);
    metrics.requests[static_cast<size_t>(record_.verdict)]->add();
    const bool missed = record_.verdict == Verdict::miss ||
                        record_.verdict == Verdict::revalidated || record_.verdict == Verdict::pass;
    if (missed) metrics.misses[static_cast<size_t>(reason_)]->add();
    charge_bytes(worker_, admission_, record_.bytes_out);
  }
  record_.total = now - begun_;
  node.metrics.seconds.with({}).observe(record_.total);
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
