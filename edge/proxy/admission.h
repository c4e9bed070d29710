// Admission: who asks, for which site, by which rule, and whether it may: all before the cache.
//
// Threads: the exchange's loop. Lifetime: refers to the snapshot it was made with, and to the
// stream's request. Refusals are answers of this node, never stored.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http/server_stream.h"
#include "edge/cache/position.h"
#include "edge/proxy/access_record.h"
#include "edge/proxy/worker.h"

namespace bw::edge {

// An answer of this node instead of the request's.
struct Refusal {
  int status = 0;
  std::string_view name;  // of the problem
  std::string detail;
  std::string location;                 // of a redirect
  std::string_view body, content_type;  // of a rule's `respond`; else a problem
  std::string_view allow;               // of 405
  Verdict verdict = Verdict::denied;
};

struct LimitSeen {
  const LimitRule* rule = nullptr;
  uint64_t key = 0;
  LimitDecision decision;
};

struct Admission {
  std::shared_ptr<const Snapshot> snapshot;
  const Site* site = nullptr;
  const Route* route = nullptr;
  bool tier = false;  // asked by a tier of ours
  Position need = 0;  // what it asks for
  ClientFacts client;
  net::Ip peer;
  bool peer_trusted = false;
  geo::Location location;   // what client.country looks into
  std::string_view scheme;  // the client's
  std::vector<LimitSeen> limits;
  std::unique_ptr<const Refusal> refusal;
};

// Fills `admission` (not moved afterwards: it looks into itself).
void admit(Worker& worker, http::ServerStream& stream, const Entrance::Facts& entrance,
           Admission& admission);
// Takes from the limits that count misses; a refusal when one says no.
std::unique_ptr<const Refusal> admit_miss(Worker& worker, const http::RequestHead& request,
                                          Admission& admission);
// Charges the limits that count bytes.
void charge_bytes(Worker& worker, const Admission& admission, uint64_t bytes);

}  // namespace bw::edge
