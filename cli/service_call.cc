#include "cli/service_call.h"

#include <memory>
#include <vector>

#include "core/base/token_file.h"
#include "core/http/client.h"
#include "core/http/target.h"
#include "core/net/name_lookup.h"
#include "core/net/tls.h"

namespace bw::cli {
namespace {

constexpr Duration kConnect = std::chrono::seconds(5);

// Collects one answer and ends the loop.
class Collector final : public http::ClientHandler {
 public:
  explicit Collector(net::Loop& loop) : loop_(loop) {}
  void on_head(const http::ResponseHead& head) override { answer.status = head.status; }
  void on_body(std::string_view piece) override {
    if (answer.body.size() + piece.size() > kMaxAnswer) {
      on_error({.kind = Error::Kind::too_large, .text = "an answer too large"});
      return;
    }
    answer.body += piece;
  }
  void on_end(const http::FieldList&, bool) override { loop_.stop(); }
  void on_error(Error e) override {
    if (!error) error = e;
    loop_.stop();
  }

  ServiceAnswer answer;
  std::optional<Error> error;

 private:
  net::Loop& loop_;
};

std::vector<net::Address> addresses_of(const ServicePlace& place, std::string* why) {
  if (!place.path.empty()) {
    if (const auto path = net::Address::parse("unix:" + place.path)) return {*path};
    *why = place.path + ": no path of a socket";
    return {};
  }
  std::vector<net::Address> addresses;
  for (const net::Ip& ip : net::look_up_name(place.host, why)) {
    addresses.emplace_back(ip, place.port);
  }
  return addresses;
}

}  // namespace

std::optional<ServicePlace> parse_service_place(std::string_view url) {
  ServicePlace place;
  constexpr std::string_view kUnix = "unix:";
  if (url.starts_with(kUnix)) {
    place.path = url.substr(kUnix.size());
    place.authority = "localhost";
    return place.path.empty() ? std::nullopt : std::optional(place);
  }
  constexpr std::string_view kHttp = "http://";
  constexpr std::string_view kHttps = "https://";
  place.https = url.starts_with(kHttps);
  if (place.https) url.remove_prefix(kHttps.size());
  if (!place.https && url.starts_with(kHttp)) url.remove_prefix(kHttp.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  const std::optional<std::string> authority = http::parse_authority(url);
  if (!authority || authority->empty()) return std::nullopt;
  place.authority = *authority;
  const size_t bracket = authority->rfind(']');
  const size_t colon = authority->rfind(':');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  place.host = authority->substr(0, has_port ? colon : std::string::npos);
  if (place.host.starts_with('[')) place.host = place.host.substr(1, place.host.size() - 2);
  place.port = place.https ? 443 : 80;
  if (has_port) place.port = static_cast<uint16_t>(std::stoul(authority->substr(colon + 1)));
  return place.host.empty() ? std::nullopt : std::optional(place);
}

Result<ServiceAnswer> call_service(const ServiceAccess& access, const ServiceRequest& request,
                                   std::string* why) {
  const std::optional<ServicePlace> place = parse_service_place(access.url);
  if (!place) {
    *why = access.url + ": not http://HOST:PORT, https://HOST:PORT or unix:PATH";
    return Error{.kind = Error::Kind::malformed, .text = "a service's URL"};
  }
  http::RequestHead head;
  head.method = request.method;
  head.scheme = place->https ? "https" : "http";
  head.authority = place->authority;
  head.target = request.target;
  head.fields.add("user-agent", "breakwater");
  head.fields.add("accept", "application/json");
  if (!access.token_file.empty()) {
    const std::optional<std::string> token = read_token_file(access.token_file, why);
    if (!token) return Error{.kind = Error::Kind::io, .text = "a token file"};
    head.fields.add("authorization", "Bearer " + *token);
  }
  const bool has_body = !request.body.empty();
  if (has_body) {
    head.fields.add("content-type", "application/json");
    head.content_length = request.body.size();
  }
  http::Target target{.server_name = place->host};
  if (place->https) {
    auto tls = net::make_client_tls({.ca_file = access.ca}, why);
    if (!tls) return tls.error();
    target.tls = *tls;
  }
  const std::vector<net::Address> addresses = addresses_of(*place, why);
  if (addresses.empty()) return Error{.kind = Error::Kind::not_found, .text = "a service's name"};

  Error last;
  for (const net::Address& address : addresses) {
    target.address = address;
    SystemClock clock;
    net::Loop loop(clock);
    http::ClientPool pool(loop, {});
    Collector collector(loop);
    const auto stream = pool.fetch(
        target, head, has_body,
        {.connect = kConnect, .first_byte = request.deadline, .between_bytes = request.deadline},
        collector);
    if (has_body) {
      stream->send_body(Slice::copy_of(request.body));
      stream->finish();
    }
    loop.run();
    if (!collector.error) return std::move(collector.answer);
    last = *collector.error;
    if (last.retry != Error::Retry::yes) break;
  }
  *why = access.url + ": " + describe(last);
  return last;
}

}  // namespace bw::cli
