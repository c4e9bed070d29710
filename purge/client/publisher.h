// Publisher: sends purges to the service and reads its answers; the CLI's and the origin's outbox.
//
// Threads: its loop's. Lifetime: destroying it cancels what is under way (callbacks aren't made).
// Bounds: answers up to 4 MiB. Retrying is the caller's: with the same `idempotency_key` it is
// safe. Errors: transport errors with their retry; an HTTP error is an answer with its status.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/executor.h"
#include "core/base/task.h"
#include "purge/client/service_link.h"

namespace bw::purge {

struct PurgeRequest {
  std::vector<std::string> urls, tags, prefixes, hosts;
  bool everything = false;
  std::string mode;             // hard | soft; empty: the service's default
  std::string wait;             // none | shield | all; empty: none
  int64_t wait_timeout_ms = 0;  // 0: the service's default
  std::string reason;
};
std::string encode_purge_request(const PurgeRequest& request);

struct PurgeAnswer {
  int status = 0;
  std::string body;  // JSON: a receipt (200, 202) or a problem
  bool durable() const { return status == 200 || status == 202; }
  // Whether the same request may succeed later: 429, 503 and other 5xx, 409 while in progress.
  bool retry_later() const;
};

class Publisher {
 public:
  using Done = UniqueFunction<void(Result<PurgeAnswer>)>;
  Publisher(net::Loop& loop, std::shared_ptr<ServiceLink> link, Executor* executor);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // `body` as encode_purge_request() makes it. An empty key: none is sent.
  void publish(const std::string& site, std::string body, std::string_view idempotency_key,
               Duration timeout, Done done);
  // GET of any path of the API, e.g. "/v1/nodes".
  void get(std::string target, Duration timeout, Done done);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace bw::purge
