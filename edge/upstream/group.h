// A group of upstream members: who they are, how they fare, which is next, and how many fetches may
// be under way.
//
// Threads: any; all loops share one Group, whose members' health is atomic. Lifetime: shared by the
// snapshot that names it and by the tickets taken from it. Bounds: `concurrency` fetches in flight
// (the origin budget); beyond it try_admit refuses and the caller queues or answers 503. Retries
// take from a budget that fetches refill.
// See: balance.h for the choice.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/base/task.h"
#include "core/http/client.h"
#include "core/net/address.h"
#include "core/net/loop.h"
#include "edge/upstream/balance.h"

namespace bw::edge {

// One address to fetch from, as configured or as a name resolved to it.
struct MemberSettings {
  http::Target target;
  std::string origin_host;  // the host of its URL, with port: for `host = "origin"`
  uint32_t weight = 1;
  uint32_t priority = 0;
  bool drain = false;
};

struct GroupSettings {
  std::string site;
  std::string name = "default";
  Balance balance = Balance::least_requests;
  uint32_t retries = 1;
  double retry_budget = 0.1;                       // share of requests
  uint32_t eject_after = 5;                        // consecutive failures; 0: never
  Duration eject_time = std::chrono::seconds(10);  // doubles to eject_time_max
  Duration eject_time_max = std::chrono::minutes(5);
  double eject_max_share = 0.5;  // of the members; at least one may always go
  uint32_t concurrency = 1024;   // fetches in flight
  uint32_t queue = 1000;         // fetches waiting for a slot
  Duration queue_timeout = std::chrono::seconds(2);
  http::ClientDeadlines deadlines;
  http::ClientLimits limits;
};

// What `/v1/status` shows of a member.
struct MemberStatus {
  std::string address;
  std::string state;  // up | ejected | drain
  uint32_t inflight = 0;
  uint64_t ewma_ms = 0;
};

class Group : public std::enable_shared_from_this<Group> {
 public:
  struct Member;

  // A fetch in flight on one member. Dropped without succeeded() or failed(): the outcome was not
  // the member's doing (a client left).
  class Ticket {
   public:
    Ticket(std::shared_ptr<Group> group, std::shared_ptr<Member> member, MonoTime begun);
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    const http::Target& target() const;
    const std::string& origin_host() const;
    std::string address() const;
    uint64_t member_id() const;
    // Once each, when response headers came (any status below 500, or 501 and 505), or didn't.
    void succeeded(MonoTime now);
    void failed(MonoTime now);

   private:
    std::shared_ptr<Group> group_;
    std::shared_ptr<Member> member_;
    MonoTime begun_;
  };

  static std::shared_ptr<Group> make(GroupSettings settings, std::vector<MemberSettings> members);

  const GroupSettings& settings() const { return settings_; }

  // The next member for a fetch that has tried `tried` (member ids). nullptr: none is left.
  std::unique_ptr<Ticket> pick(MonoTime now, uint64_t key_hash, uint64_t random,
                               const std::vector<uint64_t>& tried);
  // A slot of the budget for one fetch. granted: go on; every slot is given back once. queued:
  // `on_granted` runs on `loop` once there is a slot; dropping the waiter takes it out of the
  // queue. refused: the queue is full.
  enum class Admission : uint8_t { granted, queued, refused };
  class Waiter;
  Admission admit(net::Loop& loop, Task on_granted, std::shared_ptr<Waiter>* waiter);
  void give_back();
  // Counts a first attempt: refills the retry budget.
  void count_request();
  // Takes one retry from the budget.
  bool may_retry();

  // New members after a name was resolved again; those that stay keep their health.
  void replace_members(std::vector<MemberSettings> members);
  std::vector<MemberStatus> status(MonoTime now) const;
  uint32_t inflight() const;

 private:
  Group(GroupSettings settings, std::vector<MemberSettings> members);
  std::vector<std::shared_ptr<Member>> members() const;
  void forget_waiter(const Waiter* waiter);
  void member_failed(Member& member, MonoTime now);

  const GroupSettings settings_;
  mutable std::mutex mutex_;  // guards what follows, never held across a call-out
  std::vector<std::shared_ptr<Member>> members_;
  uint32_t inflight_ = 0;
  std::deque<Waiter*> waiting_;  // each waiter takes itself out before it goes
  std::atomic<uint64_t> turn_{0};
  // Thousandths of a retry; starts with ten so that a quiet group may retry at all.
  std::atomic<int64_t> retry_credit_{10'000};
};

}  // namespace bw::edge
