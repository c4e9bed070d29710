// What is kept of one exchange: filled along the way, written once by Exchange::finish.
//
// Lifetime: views live during AccessSink::write. Threads: the exchange's loop.
// See: node/access_log.h for where it goes.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/clock.h"
#include "core/http/message.h"
#include "core/net/address.h"
#include "edge/cache/reason.h"

namespace bw::edge {

// How a request was answered: `breakwater_requests_total{verdict}`.
enum class Verdict : uint8_t { hit, stale, revalidated, miss, pass, limited, denied, error };
constexpr int kVerdicts = static_cast<int>(Verdict::error) + 1;
std::string_view to_text(Verdict verdict);

// Which tier the body came from.
enum class ServedBy : uint8_t { none, memory, disk, shield, origin };
std::string_view to_text(ServedBy served_by);

struct AccessRecord {
  WallTime time;
  std::string_view site;
  net::Ip client;
  bool tls = false;
  const http::RequestHead* request = nullptr;
  int status = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;  // of the body
  Verdict verdict = Verdict::error;
  Reason reason = Reason::none;
  ServedBy served_by = ServedBy::none;
  std::string_view upstream;
  int upstream_status = 0;
  uint32_t tries = 0;
  Duration receive{}, lookup{}, fill{}, deliver{}, total{};
  std::string_view request_id;
};

class AccessSink {
 public:
  virtual ~AccessSink() = default;
  // Never waits: what a full spool can't take is counted and dropped.
  virtual void write(const AccessRecord& record) = 0;
};

}  // namespace bw::edge
