#include "edge/proxy/forward.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "core/http/structured_fields.h"
#include "edge/cache/vary.h"

namespace bw::edge {
namespace {

using http::FieldId;

bool steers_origins(std::string_view name) {
  static constexpr std::array<std::string_view, 5> kFamilies = {
      "x-forwarded-", "x-original-", "x-rewrite-", "x-host", "x-http-method"};
  return name == "forwarded" ||
         std::any_of(kFamilies.begin(), kFamilies.end(),
                     [&](std::string_view family) { return name.starts_with(family); });
}

void remove_steering(http::FieldList& fields, const KeyRules& rules) {
  std::vector<std::string> names;
  for (const http::Field field : fields) {
    if (!steers_origins(field.name)) continue;
    const bool keyed =
        std::find(rules.headers.begin(), rules.headers.end(), field.name) != rules.headers.end();
    if (!keyed) names.emplace_back(field.name);
  }
  for (const std::string& name : names) fields.remove(name);
}

void append(http::FieldList& fields, FieldId id, std::string_view value, bool keep) {
  const std::optional<std::string> before = keep ? fields.combined(id) : std::nullopt;
  fields.set(id, before ? *before + ", " + std::string(value) : std::string(value));
}

// RFC 7239 section 6: an IPv6 address is quoted, in brackets.
std::string forwarded_node(const net::Ip& ip) {
  return ip.v6 ? "\"[" + ip.text() + "]\"" : ip.text();
}

void say_whose_request(http::FieldList& fields, const http::RequestHead& received,
                       const ForwardFacts& facts) {
  const UpstreamUse& use = facts.route.upstream;
  const std::string proto = use.fixed_proto.value_or(received.scheme);
  // A stored answer is everybody's: only our one client address is told, no chain.
  const net::Ip& ip = facts.may_store ? facts.client.ip : facts.peer;
  const bool keep = facts.peer_trusted && !facts.may_store;
  append(fields, FieldId::x_forwarded_for, ip.text(), keep);
  std::string forwarded = "for=" + forwarded_node(ip) + ";proto=" + proto;
  if (const std::optional<std::string> host = http::sf::encode_string(received.authority)) {
    forwarded += ";host=" + *host;
  }
  append(fields, FieldId::forwarded, forwarded, keep);
  fields.set(FieldId::x_forwarded_proto, proto);
  fields.set(FieldId::x_forwarded_host, received.authority);
}

std::string_view version_of(http::Version version) {
  switch (version) {
    case http::Version::http10:
      return "1.0";
    case http::Version::http11:
      return "1.1";
    case http::Version::http2:
      return "2";
  }
  return "1.1";
}

}  // namespace

void remove_tier_fields(http::FieldList& fields) {
  std::vector<std::string> names;
  for (const http::Field field : fields) {
    if (field.name.starts_with("breakwater-") || field.name.starts_with("breakwater_")) {
      names.emplace_back(field.name);
    }
  }
  for (const std::string& name : names) fields.remove(name);
}

LoopSeen find_loop(const http::FieldList& fields, std::string_view node) {
  LoopSeen seen;
  if (!fields.has(FieldId::cdn_loop)) return seen;
  const std::optional<std::string> text = fields.combined(FieldId::cdn_loop);
  if (!text) return seen;
  // A list of `cdn-id *(; parameter)`; what we wrote ourselves is enough to know (RFC 8586).
  std::string_view rest = *text;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    std::string_view member = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    while (member.starts_with(' ') || member.starts_with('\t')) member.remove_prefix(1);
    while (member.ends_with(' ') || member.ends_with('\t')) member.remove_suffix(1);
    constexpr std::string_view kOurs = "breakwater;node=";
    if (!member.starts_with(kOurs)) continue;
    ++seen.ours;
    if (member.substr(kOurs.size()) == node) seen.this_node = true;
  }
  return seen;
}

http::RequestHead forward_request(const http::RequestHead& received, const ForwardFacts& facts) {
  http::RequestHead head = received;
  const Route& route = facts.route;
  const std::optional<std::string> te = received.fields.combined(FieldId::te);
  http::remove_hop_by_hop(head.fields);
  remove_tier_fields(head.fields);
  strip_cookies(head.fields, route.policy->strip_cookies);
  if (facts.key != nullptr) head.target = facts.key->target();
  if (facts.may_store) {
    remove_steering(head.fields, route.policy->key);
    head.method = "GET";
    head.has_body = false;
    head.content_length.reset();
    for (const FieldId id :
         {FieldId::range, FieldId::if_range, FieldId::if_match, FieldId::if_none_match,
          FieldId::if_modified_since, FieldId::if_unmodified_since, FieldId::expect}) {
      head.fields.remove(id);
    }
    const std::string accepted(
        normalise_accept_encoding(head.fields.combined(FieldId::accept_encoding).value_or("")));
    if (accepted == "identity") {
      head.fields.remove(FieldId::accept_encoding);
    } else {
      head.fields.set(FieldId::accept_encoding, accepted);
    }
  } else if (te && te->find("trailers") != std::string::npos) {
    head.fields.add(FieldId::te, "trailers");
  }
  if (route.upstream.forwarded) {
    say_whose_request(head.fields, received, facts);
  } else {
    for (const FieldId id : {FieldId::x_forwarded_for, FieldId::x_forwarded_proto,
                             FieldId::x_forwarded_host, FieldId::forwarded}) {
      head.fields.remove(id);
    }
  }
  head.fields.remove("cdn-client-country");
  head.fields.remove("cdn-client-asn");
  if (route.upstream.geo_headers) {
    if (!facts.client.country.empty()) {
      head.fields.add("cdn-client-country", facts.client.country);
    }
    if (facts.client.asn != 0) {
      head.fields.add("cdn-client-asn", std::to_string(facts.client.asn));
    }
  }
  std::string via(version_of(received.version));
  via.append(" ").append(facts.node);
  append(head.fields, FieldId::via, via, true);
  append(head.fields, FieldId::cdn_loop, "breakwater;node=" + std::string(facts.node), true);
  head.fields.set(FieldId::x_request_id, facts.request_id);
  route.headers.edit_request(head.fields);
  return head;
}

}  // namespace bw::edge
