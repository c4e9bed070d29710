#include "purge/client/service_link.h"

#include <charconv>

#include "core/base/token_file.h"
#include "core/net/name_lookup.h"
#include "core/net/tls.h"

namespace bw::purge {
namespace {

Error unresolved() {
  return {.kind = Error::Kind::unreachable,
          .side = Error::Side::upstream,
          .retry = Error::Retry::yes,
          .text = "the purge service's name has no address"};
}

}  // namespace

std::optional<ServiceUrl> parse_service_url(std::string_view url) {
  ServiceUrl parsed;
  if (url.starts_with("https://")) {
    parsed.https = true;
    url.remove_prefix(8);
  } else if (url.starts_with("http://")) {
    url.remove_prefix(7);
  } else {
    return std::nullopt;
  }
  if (url.ends_with('/')) url.remove_suffix(1);
  if (url.empty() || url.find_first_of("/?#@ ") != std::string_view::npos) return std::nullopt;
  parsed.authority = url;
  parsed.port = parsed.https ? 443 : 80;
  std::string_view port;
  if (url.starts_with('[')) {
    const size_t end = url.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    parsed.host = url.substr(1, end - 1);
    if (const Result<net::Ip> ip = net::Ip::parse(parsed.host); !ip.ok() || !ip->v6) {
      return std::nullopt;
    }
    std::string_view rest = url.substr(end + 1);
    if (!rest.empty()) {
      if (rest[0] != ':') return std::nullopt;
      port = rest.substr(1);
      if (port.empty()) return std::nullopt;
    }
  } else {
    const size_t colon = url.find(':');
    parsed.host = url.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = url.substr(colon + 1);
      if (port.empty()) return std::nullopt;
    }
  }
  if (parsed.host.empty()) return std::nullopt;
  if (!port.empty()) {
    const char* end = port.data() + port.size();
    const auto [stop, fault] = std::from_chars(port.data(), end, parsed.port);
    if (fault != std::errc() || stop != end || parsed.port == 0) return std::nullopt;
  }
  return parsed;
}

Result<std::shared_ptr<ServiceLink>> ServiceLink::make(const ServiceLinkOptions& options,
                                                       std::string* why) {
  const Error refused{.kind = Error::Kind::malformed, .text = "the purge service's settings"};
  const std::optional<ServiceUrl> url = parse_service_url(options.url);
  if (!url) {
    *why = "url: " + options.url + ": http://HOST:PORT or https://HOST:PORT is allowed";
    return refused;
  }
  auto link = std::shared_ptr<ServiceLink>(new ServiceLink());
  link->url_ = options.url;
  link->host_ = url->host;
  link->port_ = url->port;
  link->authority_ = url->authority;
  link->https_ = url->https;
  if (!options.token_file.empty()) {
    std::optional<std::string> token = read_token_file(options.token_file, why);
    if (!token) {
      *why = "token_file: " + *why;
      return refused;
    }
    link->token_ = std::move(*token);
  }
  if (url->https) {
    net::TlsClientOptions tls;
    tls.ca_file = options.ca_file;
    tls.alpn = {"http/1.1"};
    Result<std::shared_ptr<net::TlsContext>> made = net::make_client_tls(tls, why);
    if (!made.ok()) {
      *why = "ca: " + *why;
      return made.error();
    }
    link->tls_ = *made;
  }
  return link;
}

http::RequestHead ServiceLink::head(std::string_view method, std::string target) const {
  http::RequestHead head;
  head.method = method;
  head.scheme = https_ ? "https" : "http";
  head.authority = authority_;
  head.target = std::move(target);
  head.fields.add(http::FieldId::user_agent, "breakwater");
  if (!token_.empty()) head.fields.add(http::FieldId::authorization, "Bearer " + token_);
  return head;
}

void ServiceLink::resolve(net::Loop& loop, Executor* executor,
                          UniqueFunction<void(Result<http::Target>)> done) const {
  // By value: an answer from the executor may come when this link is gone.
  http::Target known;
  known.tls = tls_;
  if (https_) known.server_name = host_;
  const auto target_at = [known, port = port_](const net::Ip& ip) {
    http::Target target = known;
    target.address = net::Address(ip, port);
    return target;
  };
  const auto held = std::make_shared<UniqueFunction<void(Result<http::Target>)>>(std::move(done));
  const auto later = [&loop, held](Result<http::Target> result) {
    loop.post([held, result = std::move(result)] { (*held)(result); });
  };
  if (const Result<net::Ip> ip = net::Ip::parse(host_); ip.ok()) {
    later(target_at(*ip));
    return;
  }
  if (executor == nullptr) {
    later(Error{.kind = Error::Kind::unsupported, .text = "a name, and nobody to look it up"});
    return;
  }
  const Status queued = executor->submit([host = host_, target_at, later] {
    std::string why;
    const std::vector<net::Ip> found = net::look_up_name(host, &why);
    later(found.empty() ? Result<http::Target>(unresolved())
                        : Result<http::Target>(target_at(found.front())));
  });
  if (!queued.ok()) later(queued.error());
}

}  // namespace bw::purge
