// FanOut: the streams of the log, one a node, fed with durable records and digests.
//
// Threads: its loop's. Bounds: kMaxStreams; a node that doesn't read holds kWaiting bytes, the rest
// stays in the log. Only what LogView holds is ever sent: it is durable.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/http/endpoint.h"
#include "core/net/loop.h"
#include "purge/log_view.h"
#include "purge/registry.h"

namespace bw::purge {

class FanOut {
 public:
  static constexpr size_t kWaiting = 256 * 1024;
  static constexpr size_t kMaxStreams = 20'000;

  FanOut(net::Loop& loop, const LogView& log, Registry& registry, Duration heartbeat);
  ~FanOut();

  // Starts a stream that begins with record `next`, or at the end with a digest.
  // 503 beyond kMaxStreams.
  void follow(http::Reply reply, std::string node, std::string instance, size_t next, bool follow);
  // New records are in the log.
  void records_came();
  // A beat brought a nonce: tell it back.
  void nonce_came(const std::string& node);
  // Whether a stream of this process of a node stands.
  bool follows(const std::string& node, const std::string& instance) const;
  // Ends the streams under names that the registry doesn't know, or knows as another process's.
  void end_strangers();
  // Ends all streams whole; their nodes come again.
  void end_all();
  // Bytes that wait for nodes to read.
  size_t waiting() const;
  size_t streams() const { return streams_.size(); }

 private:
  struct Stream;
  void pump(Stream& stream);
  void digest(Stream& stream);
  void drop_gone();
  void tick();

  net::Loop& loop_;
  const LogView& log_;
  Registry& registry_;
  const Duration heartbeat_;
  std::vector<std::unique_ptr<Stream>> streams_;
  net::Timer digests_;
  net::Timer pump_again_;  // for streams whose node reads slowly
};

}  // namespace bw::purge
