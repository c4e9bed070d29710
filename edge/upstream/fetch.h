// One request to an upstream group: a slot of its budget, a member, and at most some retries.
//
// Threads: its loop's. Lifetime: dropping it cancels, also inside an event; no event follows.
// Errors: on_fetch_error is the last event; nothing is retried once a byte of a request body was
// sent or a response began. What is the request's own fault (Side::client) is neither retried nor
// held against the member. See: RFC 9110 section 9.2.2 for what may be repeated.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/http/client.h"
#include "core/http/message.h"
#include "core/net/loop.h"
#include "edge/upstream/group.h"

namespace bw::edge {

struct FetchRequest {
  http::RequestHead head;  // as it leaves, but for the authority where `host` says so
  bool has_body = false;
  enum class Host : uint8_t { client, origin, literal };
  Host host = Host::client;
  std::string host_literal;
  uint32_t retries = 1;
  http::ClientDeadlines deadlines;
  uint64_t key_hash = 0;  // for balance = hash
};

class FetchEvents {
 public:
  virtual ~FetchEvents() = default;
  virtual void on_fetch_informational(const http::ResponseHead& head) { (void)head; }
  virtual void on_fetch_head(const http::ResponseHead& head) = 0;
  virtual void on_fetch_body(std::string_view piece) = 0;
  virtual void on_fetch_end(const http::FieldList& trailers, bool proven) = 0;
  virtual void on_fetch_error(Error error) = 0;
  virtual void on_fetch_writable() {}
};

class Fetch final : private http::ClientHandler {
 public:
  Fetch(net::Loop& loop, http::ClientPool& pool, std::shared_ptr<Group> group, Random& random,
        FetchRequest request, FetchEvents& events);
  ~Fetch() override;
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  void start();

  // The request body. Before a connection is there wants_more() is false; on_fetch_writable tells.
  void send_body(Slice piece);
  void finish_body(const http::FieldList* trailers);
  // A request is under way: before, between attempts and after there is nobody to send to.
  bool can_send() const { return stream_ != nullptr; }
  bool wants_more() const;
  // The response body.
  void pause();
  void resume();

  const std::string& upstream() const { return upstream_; }  // address of the last member tried
  uint32_t tries() const { return tries_; }
  const http::RequestHead& request() const { return request_.head; }

 private:
  enum class State : uint8_t { idle, queued, waiting_head, body, ended };

  void attempt();
  void fail_later(Error error, Duration after = Duration::zero());
  void end();
  bool may_repeat(const Error& error) const;

  void on_informational(const http::ResponseHead& head) override;
  void on_head(const http::ResponseHead& head) override;
  void on_body(std::string_view piece) override;
  void on_end(const http::FieldList& trailers, bool proven) override;
  void on_error(Error error) override;
  void on_writable() override;

  net::Loop& loop_;
  http::ClientPool& pool_;
  const std::shared_ptr<Group> group_;
  Random& random_;
  FetchRequest request_;
  FetchEvents& events_;

  State state_ = State::idle;
  bool admitted_ = false;
  bool body_begun_ = false;
  bool paused_ = false;
  uint32_t tries_ = 0;
  std::vector<uint64_t> tried_;
  std::string upstream_;
  std::shared_ptr<Group::Waiter> waiter_;
  std::unique_ptr<Group::Ticket> ticket_;
  std::unique_ptr<http::ClientStream> stream_;
  std::unique_ptr<net::Timer> timer_;  // the queue's deadline, or a failure told in a later turn
};

// What a client is told of an upstream's failure: 502, 503 or 504.
int status_of(const Error& error);

}  // namespace bw::edge
