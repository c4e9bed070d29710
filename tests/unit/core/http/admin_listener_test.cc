#include "core/http/admin_listener.h"

#include <catch2/catch.hpp>

#include "tests/unit/core/http/server_rig.h"

using namespace bw;
using namespace bw::http;

namespace {

struct Source final : AdminSource {
  metrics::Registry registry;
  Readiness ready;
  Readiness readiness() const override { return ready; }
  std::string status_body() const override { return "{\"name\":\"n\"}"; }
  const metrics::Registry& metrics() const override { return registry; }
};

EndpointRequest request_of(const std::string& method, const std::string& target,
                           const std::string& from, const std::string& authorization) {
  EndpointRequest request;
  request.head.method = method;
  request.head.target = target;
  request.peer.peer = *net::Address::parse(from);
  if (!authorization.empty()) request.head.fields.add("Authorization", authorization);
  return request;
}

}  // namespace

TEST_CASE("admin: who may ask what, and how it is refused") {
  const Source source;
  const AdminRoute posted{"/v1/reload", {}};
  const std::string here = "127.0.0.1:1";
  const std::string far = "203.0.113.1:1";
  struct Row {
    const char* token;
    const char* method;
    const char* path;
    std::string from;
    const char* authorization;
    int status;  // 0: the program's route answers
    const char* problem = "";
    const char* field = "";  // name: value
  };
  const Row row = GENERATE_REF(values<Row>({
      // Everybody may know whether it lives and serves.
      {"", "GET", "/healthz", far, "", 200},
      {"", "HEAD", "/readyz", far, "", 200},
      {"s", "GET", "/healthz", far, "", 200},
      {"s", "GET", "/readyz?x=1", far, "", 200},
      {"s", "POST", "/healthz", far, "", 405, "method", "allow: GET, HEAD"},
      {"", "POST", "/readyz", here, "", 405, "method", "allow: GET, HEAD"},
      // Without a token loopback and UNIX peers read, and nobody changes anything.
      {"", "GET", "/metrics", here, "", 200},
      {"", "GET", "/v1/status", "[::1]:1", "", 200},
      {"", "GET", "/v1/status", "unix:", "", 200},
      {"", "GET", "/metrics", far, "", 403, "no-token"},
      {"", "GET", "/metrics", far, "Bearer s", 403, "no-token"},
      {"", "GET", "/nothing", far, "", 403, "no-token"},
      {"", "GET", "/nothing", here, "", 404, "not-found"},
      {"", "POST", "/v1/reload", here, "", 403, "no-token"},
      {"", "POST", "/v1/reload", "unix:", "", 403, "no-token"},
      {"", "POST", "/metrics", here, "", 403, "no-token"},
      {"", "GET", "/v1/reload", here, "", 405, "method", "allow: POST"},
      // With one it is needed, from wherever.
      {"s", "GET", "/metrics", here, "", 401, "unauthorized", "www-authenticate: Bearer"},
      {"s", "GET", "/metrics", "unix:", "", 401, "unauthorized", "www-authenticate: Bearer"},
      {"s", "GET", "/v1/status", far, "Bearer t", 401, "unauthorized"},
      {"s", "GET", "/v1/status", far, "s", 401, "unauthorized"},
      {"s", "GET", "/v1/status", far, "Basic s", 401, "unauthorized"},
      {"s", "GET", "/nothing", far, "", 401, "unauthorized"},
      {"s", "POST", "/v1/reload", here, "", 401, "unauthorized"},
      {"s", "GET", "/metrics", far, "Bearer s", 200},
      {"s", "GET", "/metrics", far, "bearer  s ", 200},
      {"s", "HEAD", "/v1/status", far, "Bearer s", 200},
      {"s", "POST", "/v1/reload", far, "Bearer s", 0},
      {"s", "GET", "/v1/reload", far, "Bearer s", 405, "method", "allow: POST"},
      {"s", "POST", "/metrics", far, "Bearer s", 405, "method", "allow: GET, HEAD"},
      {"s", "PUT", "/v1/status", far, "Bearer s", 405, "method", "allow: GET, HEAD"},
      {"s", "GET", "/v1/reload/", far, "Bearer s", 404, "not-found"},
      {"s", "POST", "/", far, "Bearer s", 404, "not-found"},
  }));
  INFO(row.token << "| " << row.method << " " << row.path << " " << row.from << " "
                 << row.authorization);
  const AdminApi api(source, row.token, {posted});
  const AdminRoute* route = nullptr;
  EndpointRequest request = request_of(row.method, row.path, far, row.authorization);
  request.peer.peer = row.from == "unix:" ? *net::Address::parse("unix:/s") : request.peer.peer;
  if (row.from != "unix:") request.peer.peer = *net::Address::parse(row.from);
  const std::optional<EndpointResponse> answer = api.answer(request, &route);
  if (row.status == 0) {
    CHECK_FALSE(answer);
    REQUIRE(route != nullptr);
    CHECK(route->path == "/v1/reload");
    return;
  }
  REQUIRE(answer);
  CHECK(answer->status == row.status);
  const std::string type = answer->fields.combined(FieldId::content_type).value_or("");
  if (*row.problem != 0) {
    CHECK(type == "application/problem+json");
    CHECK(answer->body.find("/problems/" + std::string(row.problem) + "\"") != std::string::npos);
  } else {
    CHECK(type != "application/problem+json");
  }
  if (std::string(row.problem) == "no-token" && std::string(row.method) == "POST") {
    // True of what changes nothing as well, such as /v1/explain.
    CHECK(answer->body.find("only GET is answered here") != std::string::npos);
  }
  const std::string field = row.field;
  const size_t colon = field.find(": ");
  if (colon == std::string::npos) return;
  CHECK(answer->fields.combined(field.substr(0, colon)) == field.substr(colon + 2));
}

TEST_CASE("admin: readiness as documented") {
  Source source;
  const AdminApi api(source, "", {});
  const auto ask = [&] {
    const AdminRoute* route = nullptr;
    return *api.answer(request_of("GET", "/readyz", "127.0.0.1:1", ""), &route);
  };
  CHECK(ask().body == R"({"ready":true,"degraded":[]})");
  source.ready.degraded = {"disk", "config"};
  CHECK(ask().body == R"({"ready":true,"degraded":["disk","config"]})");
  source.ready = {.ready = false, .reason = "draining", .degraded = {"disk"}};
  CHECK(ask().status == 503);
  CHECK(ask().body == R"({"ready":false,"reason":"draining"})");
}

TEST_CASE("admin: a reload is answered when it is done, a bad file with what is wrong") {
  ServerRig rig;
  Source source;
  std::vector<UniqueFunction<void(std::string)>> asked;
  AdminApi api(source, "s", {reload_route([&](UniqueFunction<void(std::string)> done) {
                 asked.push_back(std::move(done));
               })});
  EndpointService service([&](EndpointRequest request,
                              Reply reply) { api.handle(std::move(request), std::move(reply)); },
                          100);
  Server server(rig.loop, service, {});
  std::string why;
  const auto socket = net::open_listen_socket(*net::Address::parse("127.0.0.1:0"), false, &why);
  REQUIRE(socket.ok());
  rig.address = socket->address;
  rig.listener = std::make_unique<net::Listener>(
      rig.loop, socket->fd, [&](int fd, const net::Address& peer) { server.accept(fd, peer); });
  const std::string post = "POST /v1/reload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s\r\n\r\n";
  net::End& good = rig.connect(post);
  rig.until([&] { return asked.size() == 1; });
  CHECK(good.got.empty());
  asked[0]("");
  rig.until([&] { return good.got.ends_with("{\"reloaded\":true}"); });
  CHECK(good.got.starts_with("HTTP/1.1 200 "));
  net::End& bad = rig.connect(post);
  rig.until([&] { return asked.size() == 2; });
  asked[1]("f.toml:1: nonsense");
  rig.until([&] { return bad.got.ends_with("}"); });
  CHECK(bad.got.starts_with("HTTP/1.1 422 "));
  CHECK(bad.got.find("problems/configuration") != std::string::npos);
  CHECK(bad.got.find("f.toml:1: nonsense") != std::string::npos);
  rig.clients.clear();
  server.close_all();
  rig.loop.turn();
}
