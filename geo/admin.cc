#include "geo/admin.h"

#include <utility>

#include "core/base/digest.h"

namespace bw::geo {
namespace {

using http::EndpointResponse;

EndpointResponse wrong_method(std::string_view allowed) {
  EndpointResponse response =
      EndpointResponse::problem(405, "method-not-allowed", "this resource has other methods");
  response.fields.add("Allow", std::string(allowed));
  return response;
}

}  // namespace

Admin::Admin(net::Loop& loop, AdminSource& source, const metrics::Registry& registry,
             std::string token)
    : loop_(loop),
      source_(source),
      registry_(registry),
      token_(std::move(token)),
      service_(
          [this](http::EndpointRequest request, http::Reply reply) { reply.send(answer(request)); },
          1024),
      server_(loop, service_, http::ServerOptions{}) {}

Admin::~Admin() { server_.close_all(); }

Status Admin::listen(const net::Address& address, std::string* why) {
  const Result<net::ListenSocket> socket = net::open_listen_socket(address, false, why);
  if (!socket) return socket.error();
  address_ = socket->address;
  listener_ = std::make_unique<net::Listener>(
      loop_, socket->fd, [this](int fd, const net::Address& peer) { server_.accept(fd, peer); });
  return {};
}

bool Admin::may(const http::EndpointRequest& request, bool write) const {
  if (token_.empty()) return !write && request.peer.peer.loopback();
  constexpr std::string_view kScheme = "Bearer ";
  const auto given = request.head.fields.find("authorization");
  return given && given->starts_with(kScheme) &&
         equal_secret(given->substr(kScheme.size()), token_);
}

EndpointResponse Admin::answer(const http::EndpointRequest& request) {
  const std::string_view path = request.head.path();
  const std::string_view method = request.head.method;
  const bool write = path == "/v1/reload";
  const bool open = path == "/healthz" || path == "/readyz";
  if (!open && path != "/metrics" && path != "/v1/status" && !write) {
    return EndpointResponse::problem(404, "not-found", "no such resource");
  }
  if (write ? method != "POST" : (method != "GET" && method != "HEAD")) {
    return wrong_method(write ? "POST" : "GET, HEAD");
  }
  if (!open && !may(request, write)) {
    if (token_.empty()) {
      return EndpointResponse::problem(403, "forbidden", "without a token only loopback may read");
    }
    EndpointResponse response =
        EndpointResponse::problem(401, "unauthorized", "a bearer token is needed");
    response.fields.add("WWW-Authenticate", "Bearer");
    return response;
  }
  if (path == "/healthz") return EndpointResponse::json(200, "{\"alive\":true}\n");
  if (path == "/readyz") {
    text::Json body = text::Json::object();
    body.set("ready", true);
    text::Json degraded = text::Json::array();
    for (const std::string& one : source_.degraded()) degraded.push(one);
    body.set("degraded", std::move(degraded));
    return EndpointResponse::json(200, body.dump() + "\n");
  }
  if (path == "/metrics") {
    EndpointResponse response;
    response.fields.add("Content-Type", "text/plain; version=0.0.4");
    response.body = registry_.text();
    return response;
  }
  if (path == "/v1/status") return EndpointResponse::json(200, source_.status().dump(2) + "\n");
  source_.reload();
  return EndpointResponse::json(202, "{\"reloading\":true}\n");
}

}  // namespace bw::geo
