#include "edge/proxy/admission.h"

#include <utility>

#include "core/base/digest.h"
#include "core/base/log.h"
#include "edge/cache/key.h"
#include "edge/proxy/forward.h"

namespace bw::edge {
namespace {

using http::FieldId;

constexpr int kMaxTiers = 4;

using RefusalPtr = std::unique_ptr<const Refusal>;

RefusalPtr refuse(Refusal refusal) { return std::make_unique<const Refusal>(std::move(refusal)); }

RefusalPtr refuse(int status, std::string_view name, std::string detail) {
  return refuse({.status = status, .name = name, .detail = std::move(detail)});
}

net::Ip peer_ip(const net::Address& peer) {
  if (peer.family() == net::Address::Family::ip) return peer.ip();
  net::Ip loopback;  // a UNIX socket's peer is this machine
  loopback.bytes = {127, 0, 0, 1};
  return loopback;
}

// Whether a tier of ours asks. A wrong token is refused loudly: it is a mistake or an attack.
RefusalPtr find_tier(Worker& worker, http::ServerStream& stream, const Entrance::Facts& entrance,
                     Admission& admission) {
  const NodeParts& node = worker.node();
  const http::FieldList& fields = stream.request().fields;
  const std::optional<std::string_view> token = fields.find(FieldId::breakwater_tier_token);
  if (token && !node.tier_token.empty()) {
    if (!equal_secret(*token, node.tier_token)) {
      node.metrics.tier_refused.add();
      log::warning("a wrong tier token from " + stream.peer().peer.text());
      return refuse(403, "tier-token", "The tier token is wrong.");
    }
    admission.tier = true;
  }
  const net::TlsInfo* tls = stream.peer().tls_info;
  if (node.tier_by_certificate && tls != nullptr && !tls->peer_name.empty()) admission.tier = true;
  if (entrance.tier_only && !admission.tier) {
    return refuse(403, "tier-only", "This listener serves tiers only.");
  }
  if (admission.tier) {
    const std::optional<std::string_view> seq = fields.find(FieldId::breakwater_purge_seq);
    admission.need = seq ? parse_position(*seq).value_or(0) : 0;
  }
  return nullptr;
}

RefusalPtr check_method(const http::RequestHead& request) {
  const std::string& method = request.method;
  static constexpr std::string_view kAllowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
  if (method == "PURGE") {
    return refuse({.status = 405,
                   .name = "method",
                   .detail = "Purges go to the purge service, not to an edge.",
                   .allow = kAllowed});
  }
  if (method == "CONNECT" || method == "TRACE" || !request.protocol.empty()) {
    return refuse({.status = 405,
                   .name = "method",
                   .detail = "This method isn't served here.",
                   .allow = kAllowed});
  }
  if (request.target == "*") {
    return refuse({.status = 204, .allow = kAllowed, .verdict = Verdict::pass});
  }
  return nullptr;
}

void find_client(http::ServerStream& stream, Admission& admission) {
  const http::FieldList& fields = stream.request().fields;
  const ClientAddressRule& rule = admission.snapshot->client_address;
  admission.peer = peer_ip(stream.peer().peer);
  admission.peer_trusted = is_trusted(rule, admission.peer);
  admission.client.ip = client_address(rule, stream.peer().peer, fields);
  admission.scheme = stream.request().scheme;
  if (admission.tier) {
    if (const auto told = fields.find(FieldId::breakwater_client)) {
      const Result<net::Ip> ip = net::Ip::parse(*told);
      if (ip.ok()) admission.client.ip = *ip;
    }
    // Keys are made of the client's scheme, which the link between tiers doesn't have.
    const auto proto = fields.find(FieldId::x_forwarded_proto);
    if (proto == "http" || proto == "https") admission.scheme = *proto;  // lives as the request
  }
  if (admission.snapshot->locator != nullptr) {
    admission.location = admission.snapshot->locator->find(admission.client.ip);
    admission.client.country = admission.location.country_text();
    admission.client.asn = admission.location.asn;
  }
}

RefusalPtr limited(const LimitRule& rule) {
  return refuse({.status = 429,
                 .name = "rate-limit",
                 .detail = "The limit \"" + rule.name + "\" is reached.",
                 .verdict = Verdict::limited});
}

RefusalPtr take_limits(Worker& worker, const http::RequestHead& request, Admission& admission,
                       bool misses) {
  RefusalPtr refusal;
  for (const std::shared_ptr<const LimitRule>& rule : admission.site->limits) {
    if ((rule->counts == LimitRule::Counts::misses) != misses) continue;
    const std::optional<uint64_t> key = limit_key(*rule, request, admission.client);
    if (!key) continue;
    const uint64_t cost = rule->counts == LimitRule::Counts::bytes ? 0 : 1;
    const LimitDecision decision =
        worker.node().limits.decide(*rule, *key, worker.loop().now(), cost);
    worker.metrics_of(rule)[static_cast<size_t>(decision.verdict)]->add();
    admission.limits.push_back({rule.get(), *key, decision});
    if (decision.verdict == LimitDecision::Verdict::refused && !refusal) refusal = limited(*rule);
  }
  return refusal;
}

RefusalPtr apply_rule(const RouteAction& action) {
  switch (action.kind) {
    case RouteAction::Kind::none:
    case RouteAction::Kind::pass:
      return nullptr;
    case RouteAction::Kind::deny:
      return refuse(403, "denied", "A rule of this site denies this request.");
    case RouteAction::Kind::redirect:
      return refuse(
          {.status = action.status, .location = action.location, .verdict = Verdict::pass});
    case RouteAction::Kind::respond:
      return refuse({.status = action.status,
                     .body = action.body,
                     .content_type = action.content_type,
                     .verdict = Verdict::pass});
  }
  return nullptr;
}

}  // namespace

void admit(Worker& worker, http::ServerStream& stream, const Entrance::Facts& entrance,
           Admission& admission) {
  const http::RequestHead& request = stream.request();
  admission.snapshot = worker.snapshot();
  find_client(stream, admission);
  admission.refusal = find_tier(worker, stream, entrance, admission);
  if (admission.refusal) return;
  if (admission.tier) find_client(stream, admission);
  admission.refusal = check_method(request);
  if (admission.refusal) return;

  admission.site = admission.snapshot->sites->find(request.authority);
  if (admission.site == nullptr) {
    admission.refusal = refuse(421, "unknown-host", "No site of this node has this host.");
    return;
  }
  const net::TlsInfo* tls = stream.peer().tls_info;
  if (entrance.tls != nullptr && tls != nullptr && !tls->sni.empty()) {
    const std::string host = normalise_host(request.authority);
    if (host != tls->sni && !net::tls_covers(*entrance.tls, tls->sni, host)) {
      admission.refusal = refuse(421, "misdirected", "This connection's certificate is another's.");
      return;
    }
  }
  const LoopSeen loop = find_loop(request.fields, worker.node().name);
  if (loop.this_node || loop.ours > kMaxTiers) {
    admission.refusal = refuse({.status = 508,
                                .name = "loop",
                                .detail = "This request has been here before.",
                                .verdict = Verdict::error});
    return;
  }
  admission.route = &admission.site->match(request, admission.client);
  if (!admission.tier) {
    if (!admission.site->access.admits(admission.client)) {
      admission.refusal = refuse(403, "access", "This client isn't admitted to this site.");
      return;
    }
    if (admission.site->redirect_https && admission.scheme == "http") {
      admission.refusal =
          refuse({.status = 301,
                  .location = "https://" + normalise_host(request.authority) + request.target,
                  .verdict = Verdict::pass});
      return;
    }
    admission.refusal = take_limits(worker, request, admission, false);
    if (admission.refusal) return;
  }
  if (request.content_length.value_or(0) > admission.site->max_body_size) {
    admission.refusal = refuse(413, "body-size", "The request body is larger than max_body_size.");
    return;
  }
  admission.refusal = apply_rule(admission.route->action);
}

RefusalPtr admit_miss(Worker& worker, const http::RequestHead& request, Admission& admission) {
  if (admission.tier) return nullptr;
  return take_limits(worker, request, admission, true);
}

void charge_bytes(Worker& worker, const Admission& admission, uint64_t bytes) {
  for (const LimitSeen& seen : admission.limits) {
    if (seen.rule->counts != LimitRule::Counts::bytes) continue;
    worker.node().limits.charge(*seen.rule, seen.key, worker.loop().now(), bytes);
  }
}

}  // namespace bw::edge
