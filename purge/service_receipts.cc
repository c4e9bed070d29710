// The service's receipts: who has a purge, who waits for that, and the audit of all purges.
#include <algorithm>
#include <charconv>
#include <utility>

#include "purge/service.h"

namespace bw::purge {
namespace {

using http::EndpointResponse;
using text::Json;

constexpr size_t kMaxAudit = 1000;
constexpr size_t kMaxAuditScan = 100'000;  // records looked at in one turn

}  // namespace

Receipt Service::receipt_of(const std::string& id) const {
  const LogView::Span span = *parts_.log.of_request(id);
  const Position last = parts_.log.at(span.first + span.count - 1).position;
  return make_receipt(parts_.registry.standings(parts_.log.at(span.first).site, parts_.log,
                                                times_.applied_at(last)),
                      last, times_.durable_at(last), parts_.loop.now());
}

std::string Service::receipt_json(const std::string& id, const Receipt& receipt) const {
  const LogView::Span span = *parts_.log.of_request(id);
  const Record& first = parts_.log.at(span.first);
  const Record& last = parts_.log.at(span.first + span.count - 1);
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
  return body.dump();
}

void Service::receipt(const std::string& site, const std::string& id, http::Reply reply) {
  const std::optional<LogView::Span> span = parts_.log.of_request(id);
  if (!span || parts_.log.at(span->first).site != site) {
    return reply.send(
        EndpointResponse::problem(404, "unknown-purge", "No purge of this site has this id."));
  }
  reply.send(EndpointResponse::json(200, receipt_json(id, receipt_of(id))));
}

void Service::wait_for(const std::string& site, const std::string& id, Wait wait,
                       int64_t timeout_ms, http::Reply reply) {
  const Receipt receipt = receipt_of(id);
  const bool met = wait != Wait::none && receipt.met(wait);
  if (!met && wait != Wait::none && timeout_ms > 0 && waiters_.size() < kMaxWaiters) {
    const MonoTime until = parts_.loop.now() + std::chrono::milliseconds(timeout_ms);
    waiters_.push_back({std::move(reply), site, id, wait, until});
    return look_soon();
  }
  answered(site, met ? 200 : 202);
  reply.send(EndpointResponse::json(met ? 200 : 202, receipt_json(id, receipt)));
}

// Many beats of one turn are looked at once.
void Service::look_soon() {
  if (looking_soon_ || waiters_.empty()) return;
  looking_soon_ = true;
  parts_.loop.at_turn_end([self = self_] {
    if (*self != nullptr) (*self)->look_at_waiters();
  });
}

void Service::look_at_waiters() {
  looking_soon_ = false;
  const MonoTime now = parts_.loop.now();
  std::optional<MonoTime> next;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    const Receipt receipt = receipt_of(waiter->id);
    const bool met = receipt.met(waiter->wait);
    if (met || now >= waiter->until || waiter->reply.client_gone()) {
      answered(waiter->site, met ? 200 : 202);
      waiter->reply.send(
          EndpointResponse::json(met ? 200 : 202, receipt_json(waiter->id, receipt)));
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
  size_t from = 0;
  if (const std::optional<std::string> text = request.query("after")) {
    uint64_t sequence = 0;
    const char* end = text->data() + text->size();
    if (const std::optional<Position> position = Position::parse(*text)) {
      from = parts_.log.after(*position);
    } else if (const auto [stop, fault] = std::from_chars(text->data(), end, sequence);
               fault == std::errc() && stop == end) {
      from = parts_.log.after_sequence(sequence);
    } else {
      return reply.send(
          EndpointResponse::problem(400, "malformed", "after: SEQ or EPOCH.SEQ is needed."));
    }
  }
  Json list = Json::array();
  size_t i = from;
  for (; i < parts_.log.size() && i - from < kMaxAuditScan && list.size() < kMaxAudit; ++i) {
    const Record& record = parts_.log.at(i);
    if (record.site != site) continue;
    Json one = Json::object();
    one.set("seq", record.position.text()).set("time_ms", record.time_ms);
    one.set("kind", record.kind == Kind::unknown ? std::string_view(record.kind_name)
                                                 : to_text(record.kind));
    one.set("mode", to_text(record.mode)).set("text", record.text).set("actor", record.actor);
    one.set("id", record.request).set("reason", record.reason);
    list.push(std::move(one));
  }
  Json body = Json::object();
  body.set("purges", std::move(list));
  // Where to ask on; null at the log's end.
  body.set("next", i < parts_.log.size() ? Json(parts_.log.at(i - 1).position.text()) : Json());
  reply.send(EndpointResponse::json(200, body.dump()));
}

}  // namespace bw::purge
