#include "edge/node/admin.h"

#include "core/base/digest.h"
#include "edge/node/explain.h"

namespace bw::edge {
namespace {

using http::EndpointRequest;
using http::EndpointResponse;
using text::Json;

constexpr size_t kMaxBody = 64 * 1024;

EndpointResponse ready(const Readiness& readiness) {
  Json body = Json::object();
  body.set("ready", readiness.ready);
  if (!readiness.ready) {
    body.set("reason", readiness.reason);
    return EndpointResponse::json(503, body.dump());
  }
  Json degraded = Json::array();
  for (const std::string& one : readiness.degraded) degraded.push(one);
  body.set("degraded", std::move(degraded));
  return EndpointResponse::json(200, body.dump());
}

// Whom this request may be answered: nullopt is yes.
std::optional<EndpointResponse> refuse(const EndpointRequest& request, const std::string& token) {
  if (!token.empty()) {
    const auto field = request.head.fields.find(http::FieldId::authorization);
    constexpr std::string_view kBearer = "Bearer ";
    if (field && field->starts_with(kBearer) &&
        equal_secret(field->substr(kBearer.size()), token)) {
      return std::nullopt;
    }
    EndpointResponse answer =
        EndpointResponse::problem(401, "unauthorized", "A bearer token is needed.");
    answer.fields.set(http::FieldId::www_authenticate, "Bearer");
    return answer;
  }
  if (request.head.method != "GET" && request.head.method != "HEAD") {
    return EndpointResponse::problem(403, "no-token",
                                     "Without admin.token_file nothing may be changed here.");
  }
  if (!request.peer.peer.loopback()) {
    return EndpointResponse::problem(403, "no-token",
                                     "Without admin.token_file only local peers may read.");
  }
  return std::nullopt;
}

EndpointResponse wrong_method(std::string_view allowed) {
  EndpointResponse answer =
      EndpointResponse::problem(405, "method", "This resource has other methods.");
  answer.fields.set(http::FieldId::allow, allowed);
  return answer;
}

class Admin {
 public:
  Admin(net::Loop& loop, NodeState& node, std::string token)
      : loop_(loop), node_(node), token_(std::move(token)) {}

  void handle(const EndpointRequest& request, http::Reply reply) {
    const std::string_view path = request.head.path();
    const bool reads = request.head.method == "GET" || request.head.method == "HEAD";
    const bool posts = request.head.method == "POST";
    if (path == "/healthz" || path == "/readyz") {
      if (!reads) return reply.send(wrong_method("GET"));
      if (path == "/readyz") return reply.send(ready(node_.readiness()));
      return reply.send(EndpointResponse::json(200, "{\"alive\":true}"));
    }
    if (std::optional<EndpointResponse> refusal = refuse(request, token_)) {
      return reply.send(std::move(*refusal));
    }
    if (path == "/metrics") {
      if (!reads) return reply.send(wrong_method("GET"));
      EndpointResponse answer;
      answer.fields.set(http::FieldId::content_type, "text/plain; version=0.0.4; charset=utf-8");
      answer.body = node_.metrics().text();
      return reply.send(std::move(answer));
    }
    if (path == "/v1/status") {
      if (!reads) return reply.send(wrong_method("GET"));
      return reply.send(EndpointResponse::json(200, node_.status().dump()));
    }
    if (path == "/v1/explain") {
      if (!posts) return reply.send(wrong_method("POST"));
      return explain_request(request.body, std::move(reply));
    }
    if (path == "/v1/reload") {
      if (!posts) return reply.send(wrong_method("POST"));
      auto held = std::make_shared<http::Reply>(std::move(reply));
      return node_.reload([held](std::string wrong) {
        held->send(wrong.empty() ? EndpointResponse::json(200, "{\"reloaded\":true}")
                                 : EndpointResponse::problem(422, "configuration", wrong));
      });
    }
    reply.send(EndpointResponse::problem(404, "not-found", "There is no such resource here."));
  }

 private:
  void explain_request(const std::string& body, http::Reply reply) {
    std::string why;
    std::optional<ExplainRequest> question = parse_explain_request(body, &why);
    if (!question) return reply.send(EndpointResponse::problem(400, "malformed", why));
    auto held = std::make_shared<http::Reply>(std::move(reply));
    explain(loop_, node_.store(), node_.snapshot(), std::move(*question),
            [held](Json answer) { held->send(EndpointResponse::json(200, answer.dump())); });
  }

  net::Loop& loop_;
  NodeState& node_;
  const std::string token_;
};

}  // namespace

std::unique_ptr<http::Service> make_admin_service(net::Loop& loop, NodeState& node,
                                                  std::string token) {
  auto admin = std::make_shared<Admin>(loop, node, std::move(token));
  return std::make_unique<http::EndpointService>(
      [admin](EndpointRequest request, http::Reply reply) {
        admin->handle(request, std::move(reply));
      },
      kMaxBody);
}

}  // namespace bw::edge
