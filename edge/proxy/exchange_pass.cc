#include "edge/proxy/exchange.h"

#include <algorithm>
#include <utility>

#include "edge/proxy/forward.h"

namespace bw::edge {

using http::FieldId;

// --- pass

void Exchange::pass(Reason reason) {
  reason_ = reason;
  reader_.reset();
  record_.verdict = Verdict::pass;
  looked_up_ = worker_.loop().now();
  if (key_.text.empty()) make_key(*admission_.route->policy, *request_, key_);
  http::RequestHead head = forward_request(*request_, {.node = worker_.node().name,
                                                       .route = *admission_.route,
                                                       .client = admission_.client,
                                                       .peer = admission_.peer,
                                                       .peer_trusted = admission_.peer_trusted,
                                                       .may_store = false,
                                                       .key = nullptr,
                                                       .request_id = request_id()});
  const Seen seen = worker_.store().purged().read(admission_.site->id);
  const FillStart start = fill_start(seen, need_);
  pass_start_ = start.start;
  TierRequest request = tier_request(std::move(head), FetchKind::pass, start.need);
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
  const CacheStatus status{.node = worker_.node().cache,
                           .fwd = forwarded_for(reason_),
                           .fwd_status = head.status == 200 ? 0 : head.status,
                           .detail = to_text(reason_)};
  const std::string cache_status = append_cache_status(received, cache_status_member(status));
  AnswerFacts facts = answer_facts(cache_status);
  dress(answer.fields, facts);
  if (pass_->fetch().from_shield()) {
    // No more than the tier above proved; nothing when it proved nothing.
    const std::optional<Position> said =
        proved_position(head.fields, worker_.store().purged(), need_);
    if (said) {
      say_position(answer, std::min(pass_start_, *said),
                   head.fields.has(FieldId::breakwater_stale));
    }
  } else {
    say_position(answer, pass_start_, false);
  }
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
  gone(key_.purge_hashes().url);
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
    gone(make_key(*admission_.route->policy, other).purge_hashes().url);
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

}  // namespace bw::edge
