// TieredFetch: one request to the next tier: a shield when there is one, else the origin.
//
// When no shield answers and [shield] fallback is `origin`, the origin is asked instead, as long as
// no byte of a request body was sent. Only what goes to a shield carries Breakwater-* fields.
// Threads and lifetime: as edge::Fetch, whose events it passes on.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "edge/cache/position.h"
#include "edge/proxy/snapshot.h"
#include "edge/proxy/worker.h"
#include "edge/upstream/fetch.h"

namespace bw::edge {

struct TierRequest {
  std::shared_ptr<const Snapshot> snapshot;
  const Site* site = nullptr;
  const Route* route = nullptr;
  http::RequestHead head;  // from forward_request(), with conditions
  bool has_body = false;
  std::string scheme;  // of the client's request
  std::string client;  // its address
  Position need = 0;   // Breakwater-Purge-Seq
  uint64_t key_hash = 0;
  FetchKind kind = FetchKind::miss;
};

// What a tier's answer proves: its Breakwater-Purge-Seq. nullopt: no valid one, or of an epoch that
// this node doesn't know, having asked for `need`.
std::optional<Position> proved_position(const http::FieldList& fields, const PurgedSince& purged,
                                        Position need);

class TieredFetch final : public FetchEvents {
 public:
  TieredFetch(Worker& worker, TierRequest request, FetchEvents& events);
  ~TieredFetch() override;
  TieredFetch(const TieredFetch&) = delete;
  TieredFetch& operator=(const TieredFetch&) = delete;

  void start();
  void send_body(Slice piece);
  void finish_body(const http::FieldList* trailers);
  // Whether the next tier is there to be given some body; on_fetch_writable tells.
  bool can_send() const { return fetch_ != nullptr && fetch_->can_send(); }
  bool wants_more() const { return fetch_ != nullptr && fetch_->wants_more(); }
  void pause();
  void resume();

  bool from_shield() const { return to_shield_; }
  std::string upstream() const { return fetch_ == nullptr ? std::string() : fetch_->upstream(); }
  uint32_t tries() const { return tries_before_ + (fetch_ == nullptr ? 0 : fetch_->tries()); }

 private:
  void ask(const std::shared_ptr<Group>& group);
  void on_fetch_informational(const http::ResponseHead& head) override;
  void on_fetch_head(const http::ResponseHead& head) override;
  void on_fetch_body(std::string_view piece) override;
  void on_fetch_end(const http::FieldList& trailers, bool proven) override;
  void on_fetch_error(Error error) override;
  void on_fetch_writable() override;

  Worker& worker_;
  TierRequest request_;
  FetchEvents& events_;
  metrics::Gauge* inflight_ = nullptr;
  bool to_shield_ = false;
  bool head_seen_ = false;
  bool body_begun_ = false;
  bool paused_ = false;
  uint32_t tries_before_ = 0;
  std::vector<std::shared_ptr<http::ClientPool>> pools_;  // of both tiers; outlive fetch_
  std::unique_ptr<Fetch> fetch_;
  net::Timer timer_;  // tells a failure in a later turn
};

}  // namespace bw::edge
