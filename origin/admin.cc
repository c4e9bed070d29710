#include "origin/admin.h"

#include <utility>

namespace bw::origin {

using http::EndpointRequest;
using http::EndpointResponse;

http::EndpointService::Handler make_admin(const metrics::Registry& registry,
                                          std::function<std::string()> status) {
  return [&registry, status = std::move(status)](EndpointRequest request, http::Reply reply) {
    const std::string_view path = request.head.path();
    const std::string& method = request.head.method;
    const bool open = path == "/healthz" || path == "/readyz";
    const bool known = open || path == "/metrics" || path == "/v1/status";
    EndpointResponse response;
    if (!known) {
      response = EndpointResponse::problem(404, "not-found", "");
    } else if (method != "GET" && method != "HEAD") {
      response = EndpointResponse::problem(405, "method", "");
      response.fields.add(http::FieldId::allow, "GET, HEAD");
    } else if (!open && !request.peer.peer.loopback()) {
      response = EndpointResponse::problem(403, "not-allowed", "only from this host");
    } else if (path == "/metrics") {
      response.body = registry.text();
      response.fields.add(http::FieldId::content_type, "text/plain; version=0.0.4");
    } else if (path == "/v1/status") {
      response = EndpointResponse::json(200, status());
    } else {
      response = EndpointResponse::json(
          200, path == "/readyz" ? "{\"ready\":true,\"degraded\":[]}" : "{\"ok\":true}");
    }
    reply.send(std::move(response));
  };
}

}  // namespace bw::origin
