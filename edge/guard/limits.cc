#include "edge/guard/limits.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <thread>

#include "core/base/check.h"
#include "core/base/digest.h"
#include "edge/guard/pattern.h"

namespace bw::edge {
namespace {

using Wide = unsigned __int128;

constexpr int64_t kTick = 16;  // ticks a nanosecond: 18 years fit, and 1e8/s is exact to 1 %
constexpr int64_t kMostTicks = INT64_MAX / 4;
constexpr int64_t kTicksPerSecond = 1'000'000'000 * kTick;

int64_t clamp_ticks(Wide ticks) {
  return ticks > static_cast<Wide>(kMostTicks) ? kMostTicks : static_cast<int64_t>(ticks);
}

// What `cost` requests or bytes take of the bucket, rounded up: never more than the rate gets in.
int64_t ticks_of(const LimitRule& rule, uint64_t cost) {
  if (cost == 1) return rule.interval;
  const Wide period = static_cast<Wide>(rule.rate.per.count()) * kTick * cost;
  return clamp_ticks((period + rule.rate.count - 1) / rule.rate.count);
}

uint64_t seconds_up(int64_t ticks) {
  return ticks <= 0 ? 0
                    : (static_cast<uint64_t>(ticks) + kTicksPerSecond - 1) /
                          static_cast<uint64_t>(kTicksPerSecond);
}

// The value of the named cookie; nullopt: none.
std::optional<std::string_view> find_cookie(const http::FieldList& fields, std::string_view name) {
  for (const http::Field field : fields) {
    if (field.id != http::FieldId::cookie) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(';'), rest.size());
      std::string_view pair = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      while (pair.starts_with(' ')) pair.remove_prefix(1);
      if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
        return pair.substr(name.size() + 1);
      }
    }
  }
  return std::nullopt;
}

// One part of a key as bytes; nullopt: the request lacks it.
std::optional<std::string> part_text(const LimitKeyPart& part, const http::RequestHead& request,
                                     const ClientFacts& client) {
  switch (part.kind) {
    case LimitKeyPart::Kind::client: {
      // IPv6 clients are their /64: one host has all of it.
      const size_t size = client.ip.v6 ? 8 : 4;
      std::string text(client.ip.v6 ? "6" : "4");
      text.append(reinterpret_cast<const char*>(client.ip.bytes.data()), size);
      return text;
    }
    case LimitKeyPart::Kind::header:
      return request.fields.combined(part.name);
    case LimitKeyPart::Kind::cookie: {
      const auto value = find_cookie(request.fields, part.name);
      return value ? std::optional<std::string>(*value) : std::nullopt;
    }
    case LimitKeyPart::Kind::path:
      return std::string(request.path());
    case LimitKeyPart::Kind::country:
      return client.country.empty() ? std::nullopt : std::optional<std::string>(client.country);
    case LimitKeyPart::Kind::asn:
      return client.asn == 0 ? std::nullopt
                             : std::optional<std::string>(std::to_string(client.asn));
  }
  return std::nullopt;
}

}  // namespace

std::optional<LimitKeyPart> LimitKeyPart::parse(std::string_view text) {
  if (text == "client") return LimitKeyPart{Kind::client, {}};
  if (text == "path") return LimitKeyPart{Kind::path, {}};
  if (text == "country") return LimitKeyPart{Kind::country, {}};
  if (text == "asn") return LimitKeyPart{Kind::asn, {}};
  const bool header = text.starts_with("header:");
  if (!header && !text.starts_with("cookie:")) return std::nullopt;
  std::string name(text.substr(7));
  if (!http::is_field_name(name)) return std::nullopt;
  if (header) {
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
  }
  return LimitKeyPart{header ? Kind::header : Kind::cookie, std::move(name)};
}

void LimitRule::prepare() {
  BW_CHECK(rate.count > 0 && burst > 0);
  const Wide period = static_cast<Wide>(rate.per.count()) * kTick;
  interval = std::max<int64_t>(1, clamp_ticks((period + rate.count - 1) / rate.count));
  // Of whole intervals, so that a full bucket holds exactly `burst`; of bytes, where rounding each
  // up would add up, of the whole.
  tolerance = counts == Counts::bytes ? ticks_of(*this, burst)
                                      : clamp_ticks(static_cast<Wide>(interval) * burst);
  salt = xxh3_64(site + '\0' + name);
}

std::optional<uint64_t> limit_key(const LimitRule& rule, const http::RequestHead& request,
                                  const ClientFacts& client) {
  if (!any_path_matches(rule.paths, request.path()) || rule.allow.contains(client)) {
    return std::nullopt;
  }
  uint64_t hash = rule.salt;
  for (const LimitKeyPart& part : rule.key) {
    const std::optional<std::string> text = part_text(part, request, client);
    if (!text) return std::nullopt;
    hash = xxh3_64(*text, hash);
  }
  return hash;
}

std::string_view to_text(LimitDecision::Verdict verdict) {
  switch (verdict) {
    case LimitDecision::Verdict::admitted:
      return "admitted";
    case LimitDecision::Verdict::refused:
      return "refused";
    case LimitDecision::Verdict::would_refuse:
      return "would_refuse";
  }
  return {};
}

struct Cell {
  uint64_t fingerprint = 0;
  int64_t time = 0;  // theoretical arrival, in ticks
};

struct alignas(64) Bucket {
  std::array<Cell, 4> cells;
};
static_assert(sizeof(Bucket) == 64);

// Held for tens of nanoseconds; a mutex's futex would cost more than the work.
class SpinLock {
 public:
  void lock() {
    for (int spins = 0; flag_.test_and_set(std::memory_order_acquire); ++spins) {
      // The holder may have lost its core.
      if (spins >= 256) std::this_thread::yield();
    }
  }
  void unlock() { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag flag_;
};

struct LimitTable::State {
  static constexpr size_t kLocks = 1024;

  std::vector<Bucket> buckets;
  std::array<SpinLock, kLocks> locks;
  // Fewer locks than buckets, so that a key's two choices differ.
  size_t lock_mask = kLocks - 1;
  std::atomic<uint64_t> inexact{0};
  uint64_t seed;

  // Gives `change` the key's theoretical arrival time (0: none is known) under its lock, and keeps
  // what it answers. A new key takes the cell with the smallest time of both choices.
  template <typename F>
  void update(uint64_t key, int64_t now, F change) {
    const uint64_t fingerprint =
        xxh3_64(std::string_view(reinterpret_cast<const char*>(&key), sizeof(key)), seed) | 1;
    const size_t mask = buckets.size() - 1;
    const size_t first = static_cast<size_t>(fingerprint >> 1) & mask;
    // Both choices share the low bits, and so one lock.
    const size_t second =
        ((static_cast<size_t>(fingerprint >> 33) & mask) & ~lock_mask) | (first & lock_mask);
    const std::lock_guard guard(locks[first & lock_mask]);
    Cell* oldest = nullptr;
    for (const size_t at : {first, second}) {
      for (Cell& cell : buckets[at].cells) {
        if (cell.fingerprint == fingerprint) {
          cell.time = change(cell.time);
          return;
        }
        if (oldest == nullptr || cell.time < oldest->time) oldest = &cell;
      }
    }
    const int64_t time = change(int64_t{0});
    if (time == 0) return;  // nothing was taken, so there's nothing to remember
    if (oldest->time > now) inexact.fetch_add(1, std::memory_order_relaxed);
    *oldest = {fingerprint, time};
  }
};

LimitTable::LimitTable(uint64_t bytes, uint64_t seed) : state_(std::make_unique<State>()) {
  size_t count = State::kLocks;
  while (count * 2 * sizeof(Bucket) <= bytes) count *= 2;
  state_->buckets.resize(count);
  state_->lock_mask = std::min(State::kLocks, count / 16) - 1;
  state_->seed = seed;
}
LimitTable::~LimitTable() = default;

LimitDecision LimitTable::decide(const LimitRule& rule, uint64_t key, MonoTime time,
                                 uint64_t cost) {
  const int64_t now = time.ns * kTick;
  const int64_t wanted = cost == 0 ? 0 : ticks_of(rule, cost);
  // A question without a cost is refused by an empty bucket: one more unit must have room.
  const int64_t needed = cost == 0 ? rule.interval : wanted;
  LimitDecision decision;
  state_->update(key, now, [&](int64_t stored) {
    const int64_t arrival = std::max(stored, now);
    const bool fits = arrival - now <= rule.tolerance - needed;
    const int64_t next = fits && wanted > 0 ? arrival + wanted : arrival;
    if (!fits) {
      decision.verdict =
          rule.shadow ? LimitDecision::Verdict::would_refuse : LimitDecision::Verdict::refused;
      decision.retry_after_s =
          std::max<uint64_t>(1, seconds_up(arrival - now - (rule.tolerance - needed)));
    }
    const int64_t used = next - now;
    decision.remaining =
        used >= rule.tolerance
            ? 0
            : static_cast<uint64_t>(static_cast<Wide>(rule.tolerance - used) * rule.burst /
                                    static_cast<Wide>(rule.tolerance));
    decision.reset_s = seconds_up(used);
    return fits && wanted > 0 ? next : stored;
  });
  return decision;
}

void LimitTable::charge(const LimitRule& rule, uint64_t key, MonoTime time, uint64_t cost) {
  if (cost == 0) return;
  const int64_t now = time.ns * kTick;
  state_->update(key, now, [&](int64_t stored) {
    return std::min(std::max(stored, now) + ticks_of(rule, cost), now + kMostTicks);
  });
}

uint64_t LimitTable::bytes() const { return state_->buckets.size() * sizeof(Bucket); }
uint64_t LimitTable::inexact_evictions() const {
  return state_->inexact.load(std::memory_order_relaxed);
}

void add_limit_fields(http::FieldList& fields, const LimitRule& rule,
                      const LimitDecision& decision) {
  if (rule.shadow) return;
  // burst / rate in whole seconds, rounded up.
  const uint64_t window = seconds_up(rule.tolerance);
  const std::string quoted = '"' + rule.name + '"';
  fields.add("ratelimit-policy",
             quoted + ";q=" + std::to_string(rule.burst) + ";w=" + std::to_string(window));
  fields.add("ratelimit", quoted + ";r=" + std::to_string(decision.remaining) +
                              ";t=" + std::to_string(decision.reset_s));
  if (decision.verdict == LimitDecision::Verdict::refused) {
    fields.set(http::FieldId::retry_after, std::to_string(decision.retry_after_s));
  }
}

}  // namespace bw::edge
