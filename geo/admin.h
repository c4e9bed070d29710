// The admin API: /healthz, /readyz, /metrics, /v1/status, POST /v1/reload.
//
// Threads: its loop's. All but the first two need the token; without one, loopback and UNIX peers
// may read. See: product.md's list of a node's admin API, of which drain and explain aren't here
// (`TXT _why.NAME` explains).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/metrics.h"
#include "core/base/task.h"
#include "core/http/endpoint.h"
#include "core/http/server.h"
#include "core/net/listener.h"
#include "core/net/loop.h"
#include "core/text/json.h"

namespace bw::geo {

// What the program tells about itself.
class AdminSource {
 public:
  virtual ~AdminSource() = default;
  virtual std::vector<std::string> degraded() const = 0;
  virtual text::Json status() const = 0;
  virtual void reload() = 0;
};

class Admin {
 public:
  // `source` and `registry` outlive it. The token's file is read again when asked to.
  Admin(net::Loop& loop, AdminSource& source, const metrics::Registry& registry, std::string token);
  ~Admin();
  Status listen(const net::Address& address, std::string* why);
  const net::Address& address() const { return address_; }
  void set_token(std::string token) { token_ = std::move(token); }

  // One request; for tests too.
  http::EndpointResponse answer(const http::EndpointRequest& request);

 private:
  bool may(const http::EndpointRequest& request, bool write) const;

  net::Loop& loop_;
  AdminSource& source_;
  const metrics::Registry& registry_;
  std::string token_;
  net::Address address_;
  http::EndpointService service_;
  http::Server server_;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace bw::geo
