#include "edge/node/upstreams.h"

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/net/name_lookup.h"
#include "edge/node/setting_rules.h"

namespace bw::edge {
namespace {

std::shared_ptr<net::TlsContext> client_tls(const net::TlsClientOptions& options,
                                            const std::string& key, Diagnostics& diagnostics) {
  std::string why;
  Result<std::shared_ptr<net::TlsContext>> made = net::make_client_tls(options, &why);
  if (!made.ok()) {
    diagnostics.error(key + ": " + why);
    return nullptr;
  }
  return *made;
}

GroupSettings group_settings(const UpstreamPlan& plan) {
  const UpstreamSettings& from = plan.settings;
  GroupSettings to;
  to.site = plan.site;
  to.name = plan.group;
  to.balance = from.balance;
  to.retries = from.retries;
  to.retry_budget = from.retry_budget;
  to.eject_after = from.eject_after;
  to.eject_time = from.eject_time;
  to.eject_max_share = from.eject_max_share;
  to.concurrency = from.concurrency > 0 ? from.concurrency : from.concurrency_max;
  to.queue = from.queue;
  to.queue_timeout = from.queue_timeout;
  to.deadlines = {from.connect_timeout, from.first_byte_timeout, from.between_bytes_timeout,
                  from.total_timeout};
  to.limits.max_connections = from.max_connections;
  return to;
}

}  // namespace

std::vector<MemberSettings> Upstreams::members_of(const std::vector<Written>& written, bool log) {
  std::vector<MemberSettings> members;
  for (const Written& one : written) {
    std::string why;
    const std::vector<net::Ip> found = net::look_up_name(one.host, &why);
    if (found.empty() && log) log::warning("upstream " + why);
    for (const net::Ip& ip : found) {
      members.push_back(one.member);
      members.back().target.address = net::Address(ip, one.port);
    }
  }
  return members;
}

Upstreams::Named Upstreams::make(GroupSettings settings, std::vector<Written> written) {
  Named named{Group::make(std::move(settings), members_of(written, true)), std::move(written)};
  for (const Written& one : named.written) {
    if (net::Ip::parse(one.host).ok()) continue;
    named_.push_back(named);
    break;
  }
  return named;
}

std::unique_ptr<Upstreams> Upstreams::build(const EdgeSettings& settings,
                                            const std::vector<UpstreamPlan>& plans,
                                            Diagnostics& diagnostics) {
  auto upstreams = std::unique_ptr<Upstreams>(new Upstreams());
  using Protocol = UpstreamSettings::Protocol;
  for (const UpstreamPlan& plan : plans) {
    const UpstreamSettings& from = plan.settings;
    std::shared_ptr<net::TlsContext> tls;
    std::vector<Written> written;
    for (const OriginSettings& origin : plan.origins) {
      const std::optional<ServerUrl> url = parse_server_url(origin.address);
      BW_CHECK(url.has_value());
      if (url->tls && tls == nullptr) {
        net::TlsClientOptions options;
        options.ca_file = from.ca;
        options.verify = from.verify;
        options.cert_file = from.client_cert;
        options.key_file = from.client_key;
        if (from.protocol == Protocol::h2) options.alpn = {"h2"};
        if (from.protocol == Protocol::automatic) options.alpn = {"h2", "http/1.1"};
        tls = client_tls(options, "site " + plan.site + ": upstream", diagnostics);
        if (tls == nullptr) break;
      }
      Written one;
      one.host = url->host;
      one.port = url->port;
      one.member.origin_host = url->authority();
      one.member.weight = origin.weight;
      one.member.priority = origin.priority;
      one.member.drain = origin.drain;
      if (url->tls) {
        one.member.target.tls = tls;
        const bool literal = from.host != "client" && from.host != "origin";
        one.member.target.server_name = !from.sni.empty() ? from.sni
                                        : literal         ? from.host
                                                          : url->host;
      }
      if (from.protocol == Protocol::h2) {
        one.member.target.protocol = http::Target::Protocol::http2;
      } else if (from.protocol == Protocol::automatic && url->tls) {
        one.member.target.protocol = http::Target::Protocol::negotiate;
      }
      written.push_back(std::move(one));
    }
    upstreams->groups_[{plan.site, plan.group}] =
        upstreams->make(group_settings(plan), std::move(written)).group;
  }
  if (!settings.shield) return upstreams;

  GroupSettings group;
  group.site = "";
  group.name = "shield";
  group.balance = Balance::hash;
  group.limits.http2_connections = settings.shield->connections;
  // A shield is one of few and carries many: its budget is the sum of its edges', not an origin's.
  group.concurrency = 65'536;
  std::vector<Written> written;
  std::shared_ptr<net::TlsContext> tls;
  for (const std::string& node : settings.shield->nodes) {
    const std::optional<ServerUrl> url = parse_server_url(node);
    BW_CHECK(url.has_value());
    Written one;
    one.host = url->host;
    one.port = url->port;
    one.member.origin_host = url->authority();
    one.member.target.protocol =
        url->tls ? http::Target::Protocol::negotiate : http::Target::Protocol::http2;
    if (url->tls) {
      if (tls == nullptr) {
        net::TlsClientOptions options;
        options.alpn = {"h2", "http/1.1"};
        if (settings.tier) {
          options.ca_file = settings.tier->ca;
          options.cert_file = settings.tier->cert;
          options.key_file = settings.tier->key;
        }
        tls = client_tls(options, "shield", diagnostics);
        if (tls == nullptr) break;
      }
      one.member.target.tls = tls;
      one.member.target.server_name = url->host;
    }
    written.push_back(std::move(one));
  }
  upstreams->shields_ = upstreams->make(std::move(group), std::move(written)).group;
  return upstreams;
}

void Upstreams::look_up_again() const {
  for (const Named& named : named_) {
    std::vector<MemberSettings> members = members_of(named.written, false);
    // A resolver that fails takes nobody away.
    if (!members.empty()) named.group->replace_members(std::move(members));
  }
}

}  // namespace bw::edge
