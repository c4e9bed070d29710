#include "core/http/admin_listener.h"

#include "core/base/digest.h"

namespace bw::http {
namespace {

constexpr size_t kMaxBody = 64 * 1024;
constexpr size_t kMaxConnections = 1024;

EndpointResponse readiness_answer(const Readiness& readiness) {
  if (!readiness.ready) {
    return EndpointResponse::json(503, "{\"ready\":false,\"reason\":\"" + readiness.reason + "\"}");
  }
  std::string body = "{\"ready\":true,\"degraded\":[";
  for (const std::string& one : readiness.degraded) {
    body.append(body.ends_with('[') ? "\"" : ",\"").append(one).append("\"");
  }
  return EndpointResponse::json(200, body + "]}");
}

}  // namespace

AdminRoute reload_route(std::function<void(ReloadTurns::Done done)> reload) {
  return {"/v1/reload", [reload = std::move(reload)](EndpointRequest, Reply reply) {
            auto held = std::make_shared<Reply>(std::move(reply));
            reload([held](const std::string& wrong) {
              held->send(wrong.empty() ? EndpointResponse::json(200, "{\"reloaded\":true}")
                                       : EndpointResponse::problem(422, "configuration", wrong));
            });
          }};
}

AdminApi::AdminApi(const AdminSource& source, std::string token, std::vector<AdminRoute> routes)
    : source_(source), token_(std::move(token)), routes_(std::move(routes)) {}

std::optional<EndpointResponse> AdminApi::refuse(const EndpointRequest& request) const {
  if (!token_.empty()) {
    const std::optional<std::string> given = request.bearer();
    if (given && equal_secret(*given, token_)) return std::nullopt;
    return EndpointResponse::unauthorized("A bearer token is needed.");
  }
  if (!request.reads()) {
    return EndpointResponse::problem(403, "no-token",
                                     "Without admin.token_file only GET is answered here.");
  }
  if (!request.peer.peer.loopback()) {
    return EndpointResponse::problem(403, "no-token",
                                     "Without admin.token_file only local peers may read.");
  }
  return std::nullopt;
}

std::optional<EndpointResponse> AdminApi::answer(const EndpointRequest& request,
                                                 const AdminRoute** route) const {
  constexpr std::string_view kReading = "GET, HEAD";
  const std::string_view path = request.head.path();
  if (path == "/healthz" || path == "/readyz") {
    if (!request.reads()) return EndpointResponse::wrong_method(kReading);
    if (path == "/readyz") return readiness_answer(source_.readiness());
    return EndpointResponse::json(200, "{\"alive\":true}");
  }
  if (std::optional<EndpointResponse> refusal = refuse(request)) return refusal;
  if (path == "/metrics" || path == "/v1/status") {
    if (!request.reads()) return EndpointResponse::wrong_method(kReading);
    if (path == "/v1/status") return EndpointResponse::json(200, source_.status_body());
    EndpointResponse answer;
    answer.fields.set(FieldId::content_type, "text/plain; version=0.0.4; charset=utf-8");
    answer.body = source_.metrics().text();
    return answer;
  }
  for (const AdminRoute& one : routes_) {
    if (one.path != path) continue;
    if (request.head.method != "POST") return EndpointResponse::wrong_method("POST");
    *route = &one;
    return std::nullopt;
  }
  return EndpointResponse::problem(404, "not-found", "There is no such resource here.");
}

void AdminApi::handle(EndpointRequest request, Reply reply) {
  const AdminRoute* route = nullptr;
  std::optional<EndpointResponse> answered = answer(request, &route);
  if (answered) return reply.send(std::move(*answered));
  route->handler(std::move(request), std::move(reply));
}

AdminListener::AdminListener(const AdminSource& source, std::string token,
                             std::vector<AdminRoute> routes)
    : api_(source, std::move(token), std::move(routes)),
      service_([this](EndpointRequest request,
                      Reply reply) { api_.handle(std::move(request), std::move(reply)); },
               kMaxBody) {}

Result<std::unique_ptr<AdminListener>> AdminListener::open(
    net::Loop& loop, const net::Address& address, const AdminSource& source, std::string token,
    std::vector<AdminRoute> routes, std::string* why) {
  std::unique_ptr<AdminListener> made(
      new AdminListener(source, std::move(token), std::move(routes)));
  Result<std::unique_ptr<BoundServer>> bound = BoundServer::bind(loop, address, "admin", why);
  if (!bound.ok()) return bound.error();
  made->server_ = std::move(*bound);
  ServerOptions options;
  options.limits.max_body_size = kMaxRefusedBody;
  options.limits.max_connections = kMaxConnections;
  made->server_->serve(made->service_, std::move(options));
  return made;
}

}  // namespace bw::http
