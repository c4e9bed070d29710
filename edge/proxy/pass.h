// Pass: a request that only its client concerns, streamed through with its body, both ways.
//
// Threads: its loop's. Lifetime: owned by its exchange; dropping it cancels the fetch. Bounds: one
// piece of a body waits on either side: reading pauses while the other side is full, or while no
// upstream is there yet (what still comes then is held).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/http/server_stream.h"
#include "edge/proxy/tiered_fetch.h"

namespace bw::edge {

class PassEvents {
 public:
  virtual ~PassEvents() = default;
  // The response head as it came; sends what the client sees, or answers otherwise and returns
  // false (the pass is over then).
  virtual bool on_pass_head(const http::ResponseHead& head) = 0;
  // The stream was finished, or aborted.
  virtual void on_passed(std::optional<Error> error) = 0;
  // Nothing was sent to the client yet.
  virtual void on_pass_failed(Error error) = 0;
};

class Pass final : public FetchEvents {
 public:
  Pass(Worker& worker, http::ServerStream& stream, TierRequest request, uint64_t max_body,
       PassEvents& events);

  void start();
  // What the exchange hears from the client.
  void on_body(std::string_view piece);
  void on_body_end(const http::FieldList& trailers);
  void on_writable();

  const TieredFetch& fetch() const { return fetch_; }
  uint64_t received() const { return received_; }
  uint64_t sent() const { return sent_; }

 private:
  void give_held();
  void on_fetch_informational(const http::ResponseHead& head) override;
  void on_fetch_head(const http::ResponseHead& head) override;
  void on_fetch_body(std::string_view piece) override;
  void on_fetch_end(const http::FieldList& trailers, bool proven) override;
  void on_fetch_error(Error error) override;
  void on_fetch_writable() override;

  http::ServerStream& stream_;
  PassEvents& events_;
  TieredFetch fetch_;
  const bool has_body_;
  const uint64_t max_body_;
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
  bool head_sent_ = false;
  bool over_ = false;
  bool body_done_ = false;
  std::vector<Slice> held_;                // of the body, for an upstream that isn't there yet
  std::optional<http::FieldList> at_end_;  // trailers; the body ended, and that is held too
};

}  // namespace bw::edge
