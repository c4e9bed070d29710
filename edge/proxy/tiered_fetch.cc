#include "edge/proxy/tiered_fetch.h"

#include <algorithm>
#include <utility>

namespace bw::edge {

using http::FieldId;

std::optional<Position> proved_position(const http::FieldList& fields, const PurgedSince& purged,
                                        Position need) {
  const std::optional<std::string_view> text = fields.find(FieldId::breakwater_purge_seq);
  const std::optional<Position> said = text ? parse_position(*text) : std::nullopt;
  const Position known = std::max(purged.applied(), need);
  if (said && known != 0 && position_epoch(*said) > position_epoch(known)) return std::nullopt;
  return said;
}

TieredFetch::TieredFetch(Worker& worker, TierRequest request, FetchEvents& events)
    : worker_(worker), request_(std::move(request)), events_(events), timer_(worker.loop(), [this] {
        events_.on_fetch_error({.kind = Error::Kind::unreachable,
                                .side = Error::Side::upstream,
                                .text = "no upstream is configured for this request"});
      }) {}

TieredFetch::~TieredFetch() {
  if (inflight_ != nullptr) inflight_->add(-1);
}

void TieredFetch::start() {
  const SiteMetrics& metrics = worker_.metrics_of(*request_.site);
  metrics.fetches[static_cast<size_t>(request_.kind)]->add();
  inflight_ = metrics.origin_inflight;
  inflight_->add(1);
  const Snapshot& snapshot = *request_.snapshot;
  to_shield_ = snapshot.shields != nullptr;
  ask(to_shield_ ? snapshot.shields : snapshot.group_of(*request_.site, *request_.route));
}

void TieredFetch::ask(const std::shared_ptr<Group>& group) {
  if (group == nullptr) {
    timer_.arm(Duration::zero());
    return;
  }
  const UpstreamUse& use = request_.route->upstream;
  FetchRequest fetch;
  fetch.head = request_.head;
  fetch.has_body = request_.has_body;
  fetch.key_hash = request_.key_hash;
  if (to_shield_) {
    http::FieldList& fields = fetch.head.fields;
    if (!worker_.node().tier_token.empty()) {
      fields.set(FieldId::breakwater_tier_token, worker_.node().tier_token);
    }
    fields.set(FieldId::breakwater_purge_seq, position_text(request_.need));
    fields.set(FieldId::breakwater_site, request_.site->name);
    fields.set(FieldId::breakwater_client, request_.client);
    fields.set(FieldId::breakwater_priority,
               request_.kind == FetchKind::refresh ? "refresh" : "client");
    // The shield keys by the client's scheme, not by that of the link.
    fields.set(FieldId::x_forwarded_proto, request_.scheme);
    fetch.retries = group->settings().retries;
    fetch.deadlines = group->settings().deadlines;
  } else {
    fetch.host = static_cast<FetchRequest::Host>(use.host);
    fetch.host_literal = use.host_literal;
    fetch.retries = use.retries;
    fetch.deadlines = use.deadlines;
  }
  pools_.push_back(worker_.pool_of(group));
  fetch_ = std::make_unique<Fetch>(worker_.loop(), *pools_.back(), group, worker_.random(),
                                   std::move(fetch), *this);
  if (paused_) fetch_->pause();
  fetch_->start();
}

void TieredFetch::send_body(Slice piece) {
  body_begun_ = true;
  fetch_->send_body(std::move(piece));
}

void TieredFetch::finish_body(const http::FieldList* trailers) {
  body_begun_ = true;
  fetch_->finish_body(trailers);
}

void TieredFetch::pause() {
  paused_ = true;
  if (fetch_ != nullptr) fetch_->pause();
}

void TieredFetch::resume() {
  paused_ = false;
  if (fetch_ != nullptr) fetch_->resume();
}

void TieredFetch::on_fetch_informational(const http::ResponseHead& head) {
  events_.on_fetch_informational(head);
}

void TieredFetch::on_fetch_head(const http::ResponseHead& head) {
  head_seen_ = true;
  events_.on_fetch_head(head);
}

void TieredFetch::on_fetch_body(std::string_view piece) { events_.on_fetch_body(piece); }

void TieredFetch::on_fetch_end(const http::FieldList& trailers, bool proven) {
  events_.on_fetch_end(trailers, proven);
}

void TieredFetch::on_fetch_error(Error error) {
  const bool fall_back = to_shield_ && !head_seen_ && !body_begun_ &&
                         request_.snapshot->fallback == ShieldFallback::origin;
  if (!fall_back) {
    events_.on_fetch_error(error);
    return;
  }
  tries_before_ += fetch_->tries();
  worker_.loop().retire(std::move(fetch_));
  to_shield_ = false;
  ask(request_.snapshot->group_of(*request_.site, *request_.route));
}

void TieredFetch::on_fetch_writable() { events_.on_fetch_writable(); }

}  // namespace bw::edge
