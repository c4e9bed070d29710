#include "edge/cache/cache_status.h"

#include <charconv>

#include "core/http/structured_fields.h"

namespace bw::edge {

std::string_view to_text(Forwarded forwarded) {
  switch (forwarded) {
    case Forwarded::none:
      return "";
    case Forwarded::bypass:
      return "bypass";
    case Forwarded::method:
      return "method";
    case Forwarded::uri_miss:
      return "uri-miss";
    case Forwarded::vary_miss:
      return "vary-miss";
    case Forwarded::miss:
      return "miss";
    case Forwarded::request:
      return "request";
    case Forwarded::stale:
      return "stale";
    case Forwarded::partial:
      return "partial";
  }
  return "";
}

Forwarded forwarded_for(Reason reason) {
  switch (reason) {
    case Reason::none:
      return Forwarded::none;
    case Reason::absent:
      return Forwarded::uri_miss;
    case Reason::vary:
      return Forwarded::vary_miss;
    case Reason::expired:
    case Reason::soft_purged:
    case Reason::must_revalidate:
    case Reason::lag:
    case Reason::swr:
    case Reason::stale_if_error:
    case Reason::origin_budget:
      return Forwarded::stale;
    case Reason::request_no_cache:
    case Reason::request_authorization:
      return Forwarded::request;
    case Reason::rule:
    case Reason::url_expired:
    case Reason::url_signature:
    case Reason::url_network:
      return Forwarded::bypass;
    case Reason::method:
      return Forwarded::method;
    case Reason::partial:
      return Forwarded::partial;
    default:
      return Forwarded::miss;
  }
}

std::string cache_status_node(std::string_view name) {
  std::string out;
  http::sf::append_name(out, name);
  return out;
}

std::string cache_status_member(const CacheStatus& status) {
  std::string out;
  append_cache_status_member(out, status);
  return out;
}

void append_cache_status_member(std::string& out, const CacheStatus& status) {
  const auto number = [&out](std::string_view name, int64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(name).append(digits, static_cast<size_t>(end - digits));
  };
  out += status.node;
  if (status.hit) {
    out += "; hit";
  } else if (status.fwd != Forwarded::none) {
    out += "; fwd=";
    out += to_text(status.fwd);
    if (status.fwd_status != 0) number("; fwd-status=", status.fwd_status);
  }
  if (status.stored) out += "; stored";
  if (status.collapsed) out += "; collapsed";
  if (status.ttl.has_value()) number("; ttl=", *status.ttl);
  if (!status.detail.empty()) http::sf::append_name(out += "; detail=", status.detail);
}

std::string append_cache_status(std::string_view received, std::string_view member) {
  std::string out(received);
  if (!out.empty() && !member.empty()) out += ", ";
  out += member;
  return out;
}

}  // namespace bw::edge
