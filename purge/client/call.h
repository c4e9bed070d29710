// Call: one request to the service and its whole small answer.
//
// Threads: its loop's. Lifetime: dropping it cancels; `done` is the last thing it does, and its
// owner may drop or retire it inside. Bounds: `max_answer` bytes.
#pragma once

#include <memory>
#include <string>

#include "core/base/task.h"
#include "core/http/client.h"
#include "purge/client/service_link.h"

namespace bw::purge {

class Call final : private http::ClientHandler {
 public:
  struct Answer {
    int status = 0;
    std::string body;
  };
  using Done = UniqueFunction<void(Result<Answer>)>;
  Call(net::Loop& loop, http::ClientPool& pool, size_t max_answer, Done done);
  ~Call() override;

  // Looks the service up, then asks.
  void start(std::shared_ptr<ServiceLink> link, Executor* executor, http::RequestHead head,
             std::string body, Duration timeout);

 private:
  void on_head(const http::ResponseHead& head) override;
  void on_body(std::string_view piece) override;
  void on_end(const http::FieldList& trailers, bool proven) override;
  void on_error(Error error) override;
  void end(Result<Answer> result);

  net::Loop& loop_;
  http::ClientPool& pool_;
  const size_t max_answer_;
  Done done_;
  Answer answer_;
  std::shared_ptr<Call*> self_;
  std::unique_ptr<http::ClientStream> stream_;
};

}  // namespace bw::purge
