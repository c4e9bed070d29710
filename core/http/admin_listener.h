// The admin listener of a program: health, readiness, metrics, status, and what the program adds.
//
// One rule for all programs ([admin] in docs/settings.md): /healthz and /readyz are for everybody;
// all else is for who shows the token. Without a token loopback and UNIX peers may read, and nobody
// may POST. It answers until the end, a drain included. Threads: its loop's. Bounds: bodies of 64
// KiB, 1,024 connections. Errors: problem+json.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/metrics.h"
#include "core/base/reload_turns.h"
#include "core/http/bound_server.h"
#include "core/http/endpoint.h"

namespace bw::http {

struct Readiness {
  bool ready = true;
  std::string reason;                 // why it isn't, a word as `draining`
  std::vector<std::string> degraded;  // what it does without, words as `disk`
};

// What a program tells of itself.
class AdminSource {
 public:
  virtual ~AdminSource() = default;
  virtual Readiness readiness() const = 0;
  // The body of /v1/status, JSON.
  virtual std::string status_body() const = 0;
  virtual const metrics::Registry& metrics() const = 0;
};

// Something to POST.
struct AdminRoute {
  std::string path;
  std::function<void(EndpointRequest request, Reply reply)> handler;
};
// POST /v1/reload: `reload` answers "" (200) or what is wrong (422).
AdminRoute reload_route(std::function<void(ReloadTurns::Done done)> reload);

class AdminApi {
 public:
  AdminApi(const AdminSource& source, std::string token, std::vector<AdminRoute> routes);
  void set_token(std::string token) { token_ = std::move(token); }
  void handle(EndpointRequest request, Reply reply);
  // The answer; nullopt: `route` receives which of the program's own gives it.
  std::optional<EndpointResponse> answer(const EndpointRequest& request,
                                         const AdminRoute** route) const;

 private:
  std::optional<EndpointResponse> refuse(const EndpointRequest& request) const;

  const AdminSource& source_;
  std::string token_;  // empty: none is known
  const std::vector<AdminRoute> routes_;
};

class AdminListener {
 public:
  // `source` outlives it. `token`: what a bearer must show; empty: none is known. Listens at once
  // and accepts as soon as the loop runs.
  static Result<std::unique_ptr<AdminListener>> open(net::Loop& loop, const net::Address& address,
                                                     const AdminSource& source, std::string token,
                                                     std::vector<AdminRoute> routes,
                                                     std::string* why);
  void set_token(std::string token) { api_.set_token(std::move(token)); }
  void tell_ready() const { server_->tell_ready(); }
  void close() { server_->close(); }

 private:
  AdminListener(const AdminSource& source, std::string token, std::vector<AdminRoute> routes);

  AdminApi api_;
  EndpointService service_;
  std::unique_ptr<BoundServer> server_;
};

}  // namespace bw::http
