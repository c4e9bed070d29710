// The origin's routes: /v1/products, /v1/events, /static/, /synthetic/, /healthz.
//
// Small requests are read whole and answered from the store by way of the executor; bodies of any
// size stream (body_stream.h). Threads: its loop's; the executor's tasks touch only the store.
// Lifetime: outlives the executor's tasks (destroy the executor first).
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "core/base/executor.h"
#include "core/http/endpoint.h"
#include "origin/metrics.h"
#include "origin/product_store.h"

namespace bw::origin {

struct ApiOptions {
  std::string static_files;       // empty: no /static/
  Duration delay{};               // before each answer but /healthz
  size_t most_waiting = 10'000;   // for the delay to pass; beyond: 503
  std::function<void()> written;  // a change was stored
};

class Api final : public http::Service {
 public:
  static constexpr size_t kMaxBody = 64 * 1024;

  Api(net::Loop& loop, Executor& executor, ProductStore& store, OriginMetrics& metrics,
      ApiOptions options);
  std::unique_ptr<http::StreamHandler> on_request(http::ServerStream& stream) override;

 private:
  void on_small_request(http::EndpointRequest request, http::Reply reply);
  void on_timer();
  // By way of the executor.
  void answer_later(http::EndpointRequest request, http::Reply reply);

  struct Waiting {
    MonoTime due;
    http::EndpointRequest request;
    http::Reply reply;
  };

  net::Loop& loop_;
  Executor& executor_;
  ProductStore& store_;
  OriginMetrics& metrics_;
  const ApiOptions options_;
  http::EndpointService small_;
  std::deque<Waiting> waiting_;  // for the delay to pass
  net::Timer timer_;
};

// One request for products or events, on a thread that may block. `wrote`: something was stored.
http::EndpointResponse answer_from_store(const http::EndpointRequest& request, ProductStore& store,
                                         WallTime now, bool& wrote);

}  // namespace bw::origin
