// Rate limits: exact token buckets for any number of keys in a table of fixed size.
//
// One 64-bit theoretical arrival time a key (GCRA). A time that has passed means the same as no
// entry, so evicting idle keys changes no decision; evicting one still in the future is the only
// inexact event, and counted. Threads: a LimitTable is shared by all workers; one spin lock of 1024
// is held for some tens of nanoseconds. Bounds: the table's bytes, given once. Only a monotonic
// clock counts. See: draft-ietf-httpapi-ratelimit-headers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/quantity.h"
#include "core/http/message.h"
#include "edge/guard/access.h"
#include "edge/guard/client_facts.h"

namespace bw::edge {

struct LimitKeyPart {
  enum class Kind : uint8_t { client, header, cookie, path, country, asn };
  Kind kind = Kind::client;
  std::string name;  // of a header (lower case) or cookie
  static std::optional<LimitKeyPart> parse(std::string_view text);
};

struct LimitRule {
  enum class Counts : uint8_t { requests, misses, bytes };
  std::string site;
  std::string name;
  std::vector<LimitKeyPart> key;
  std::vector<std::string> paths;  // patterns; empty: all
  Rate rate;
  uint64_t burst = 1;
  Counts counts = Counts::requests;
  bool shadow = false;
  ClientSet allow;  // never limited

  // Made by prepare(), in ticks of 1/16 ns.
  int64_t interval = 0;   // of one request or byte
  int64_t tolerance = 0;  // of a full bucket
  uint64_t salt = 0;
  void prepare();
};

// The hash of this request under that rule; nullopt: the rule doesn't concern it (another path, an
// allowed client, or it lacks a part of the key).
std::optional<uint64_t> limit_key(const LimitRule& rule, const http::RequestHead& request,
                                  const ClientFacts& client);

struct LimitDecision {
  enum class Verdict : uint8_t { admitted, refused, would_refuse };
  Verdict verdict = Verdict::admitted;
  uint64_t remaining = 0;
  uint64_t retry_after_s = 0;  // at least 1 when refused
  uint64_t reset_s = 0;        // until the bucket is full
};
std::string_view to_text(LimitDecision::Verdict verdict);

class LimitTable {
 public:
  // `bytes` is rounded down to a power of two, at least 64 KiB.
  LimitTable(uint64_t bytes, uint64_t seed);
  ~LimitTable();
  LimitTable(const LimitTable&) = delete;
  LimitTable& operator=(const LimitTable&) = delete;

  // Takes `cost` from the key's bucket if it's there. cost 0 asks only: refused in debt or empty.
  LimitDecision decide(const LimitRule& rule, uint64_t key, MonoTime now, uint64_t cost = 1);
  // Takes it whether it's there or not: bytes at the end of a response, leaving a debt.
  void charge(const LimitRule& rule, uint64_t key, MonoTime now, uint64_t cost);

  uint64_t bytes() const;
  uint64_t inexact_evictions() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The fields a client sees: RateLimit-Policy and RateLimit of every rule that concerned it, and
// Retry-After when one refused. Shadow rules show nothing.
void add_limit_fields(http::FieldList& fields, const LimitRule& rule,
                      const LimitDecision& decision);

}  // namespace bw::edge
