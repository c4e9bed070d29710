// Responder: the bytes of a query in, the bytes of its answer out.
//
// Way of a query: socket -> parse -> zone find -> map rank -> encode, all in here. Threads: one a
// loop; what it reads is immutable, what it counts is atomic. Bounds: an answer over UDP is at most
// 1232 bytes and 512 without EDNS; `out` holds 65535. Allocates nothing but for `_why`.
// See: RFC 1035, 6891, 7871, 7873, 8482.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/clock.h"
#include "core/dns/message.h"
#include "core/net/address.h"
#include "geo/metrics.h"
#include "geo/rate_table.h"
#include "geo/world.h"

namespace bw::geo {

class Responder {
 public:
  enum class Transport : uint8_t { udp, tcp };
  static constexpr size_t kMaxAnswer = 65535;
  static constexpr uint16_t kUdpSize = 1232;

  // Both outlive it.
  Responder(RateTable& rates, const DnsMetrics& metrics) : rates_(rates), metrics_(metrics) {}

  // For queries from now on.
  void set_snapshot(Snapshot snapshot) { snapshot_ = std::move(snapshot); }
  const Snapshot& snapshot() const { return snapshot_; }

  // The answer's size in `out`; 0: silence.
  size_t answer(dns::Bytes query, const net::Ip& from, Transport transport, MonoTime now,
                WallTime wall, std::span<uint8_t> out) const;

 private:
  RateTable& rates_;
  const DnsMetrics& metrics_;
  Snapshot snapshot_;
};

}  // namespace bw::geo
