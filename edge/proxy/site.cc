#include "edge/proxy/site.h"

#include <algorithm>

#include "core/net/address.h"
#include "edge/cache/key.h"
#include "edge/guard/pattern.h"

namespace bw::edge {

void HeaderEdits::edit_request(http::FieldList& fields) const {
  for (const std::string& name : request_remove) fields.remove(name);
  for (const auto& [name, value] : request_set) fields.set(name, value);
}

void HeaderEdits::edit_response(http::FieldList& fields) const {
  for (const std::string& name : response_remove) fields.remove(name);
  for (const auto& [name, value] : response_set) fields.set(name, value);
}

bool matches(const RouteMatch& match, const http::RequestHead& request, const ClientFacts& client) {
  const auto holds = [](const std::vector<std::string>& list, std::string_view value) {
    return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
  };
  if (!holds(match.methods, request.method) || !holds(match.countries, client.country) ||
      !any_path_matches(match.paths, request.path())) {
    return false;
  }
  return std::all_of(match.headers.begin(), match.headers.end(), [&](const auto& condition) {
    const std::optional<std::string> value = request.fields.combined(condition.first);
    return value && (condition.second == "*" || *value == condition.second);
  });
}

const Route& Site::match(const http::RequestHead& request, const ClientFacts& client) const {
  for (const auto& [condition, rule_route] : rules) {
    if (matches(condition, request, client)) return rule_route;
  }
  return route;
}

SiteTable::SiteTable(std::vector<std::shared_ptr<const Site>> sites) : sites_(std::move(sites)) {
  for (const std::shared_ptr<const Site>& site : sites_) {
    for (const std::string& host : site->hosts) {
      if (host == "*") {
        any_ = site.get();
      } else if (host.starts_with("*")) {
        wildcard_.emplace(host.substr(1), site.get());
      } else {
        exact_.emplace(host, site.get());
      }
    }
  }
}

const Site* SiteTable::find(std::string_view authority) const {
  const std::string_view host = host_of(authority);
  if (const auto found = exact_.find(host); found != exact_.end()) {
    return found->second;
  }
  if (!wildcard_.empty()) {
    // From the left: the first suffix that is known is the longest. "*" stands for at least one
    // byte.
    for (size_t dot = host.find('.', 1); dot != std::string_view::npos;
         dot = host.find('.', dot + 1)) {
      const auto found = wildcard_.find(host.substr(dot));
      if (found != wildcard_.end()) return found->second;
    }
  }
  return any_;
}

const Site* SiteTable::find_by_name(std::string_view name) const {
  for (const std::shared_ptr<const Site>& site : sites_) {
    if (site->name == name) return site.get();
  }
  return nullptr;
}

}  // namespace bw::edge
