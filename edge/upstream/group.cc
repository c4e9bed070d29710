#include "edge/upstream/group.h"

#include <algorithm>

#include "core/base/digest.h"

namespace bw::edge {
namespace {

constexpr int64_t kRetryCost = 1'000;
constexpr int64_t kRetryCreditMax = 100'000;

uint64_t id_of(const MemberSettings& settings) {
  return xxh3_64(settings.target.address.text() + "|" + settings.target.server_name);
}

}  // namespace

struct Group::Member {
  explicit Member(MemberSettings s) : id(id_of(s)), settings(std::move(s)) {}

  const uint64_t id;
  const MemberSettings settings;
  std::atomic<uint32_t> inflight{0};
  std::atomic<uint32_t> failures{0};   // consecutive
  std::atomic<uint32_t> ejections{0};  // in a row, for doubling
  std::atomic<int64_t> ejected_until_ns{0};
  std::atomic<uint64_t> ewma_us{0};

  bool ejected(MonoTime now) const {
    return ejected_until_ns.load(std::memory_order_relaxed) > now.ns;
  }
};

Group::Ticket::Ticket(std::shared_ptr<Group> group, std::shared_ptr<Member> member, MonoTime begun)
    : group_(std::move(group)), member_(std::move(member)), begun_(begun) {
  member_->inflight.fetch_add(1, std::memory_order_relaxed);
}

Group::Ticket::~Ticket() { member_->inflight.fetch_sub(1, std::memory_order_relaxed); }

const http::Target& Group::Ticket::target() const { return member_->settings.target; }
const std::string& Group::Ticket::origin_host() const { return member_->settings.origin_host; }
std::string Group::Ticket::address() const { return member_->settings.target.address.text(); }
uint64_t Group::Ticket::member_id() const { return member_->id; }

void Group::Ticket::succeeded(MonoTime now) {
  member_->failures.store(0, std::memory_order_relaxed);
  member_->ejections.store(0, std::memory_order_relaxed);
  const auto took = static_cast<uint64_t>(std::max<int64_t>(0, (now - begun_).count() / 1000));
  const uint64_t before = member_->ewma_us.load(std::memory_order_relaxed);
  member_->ewma_us.store(before == 0 ? took : (before * 7 + took) / 8, std::memory_order_relaxed);
}

void Group::Ticket::failed(MonoTime now) { group_->member_failed(*member_, now); }

std::shared_ptr<Group> Group::make(GroupSettings settings, std::vector<MemberSettings> members) {
  return std::shared_ptr<Group>(new Group(std::move(settings), std::move(members)));
}

Group::Group(GroupSettings settings, std::vector<MemberSettings> members)
    : settings_(std::move(settings)) {
  replace_members(std::move(members));
}

std::vector<std::shared_ptr<Group::Member>> Group::members() const {
  std::lock_guard lock(mutex_);
  return members_;
}

std::unique_ptr<Group::Ticket> Group::pick(MonoTime now, uint64_t key_hash, uint64_t random,
                                           const std::vector<uint64_t>& tried) {
  const std::vector<std::shared_ptr<Member>> all = members();
  std::vector<MemberView> views;
  views.reserve(all.size());
  for (const std::shared_ptr<Member>& m : all) {
    views.push_back({.id = m->id,
                     .weight = m->settings.weight,
                     .priority = m->settings.priority,
                     .inflight = m->inflight.load(std::memory_order_relaxed),
                     .ejected = m->ejected(now),
                     .drain = m->settings.drain,
                     .tried = std::find(tried.begin(), tried.end(), m->id) != tried.end()});
  }
  const std::optional<size_t> chosen =
      pick_member(views, {.balance = settings_.balance,
                          .key_hash = key_hash,
                          .turn = turn_.fetch_add(1, std::memory_order_relaxed),
                          .random = random});
  if (!chosen) return nullptr;
  return std::make_unique<Ticket>(shared_from_this(), all[*chosen], now);
}

// A place in the queue. Its task is posted at most once, by whoever gives a slot back.
class Group::Waiter {
 public:
  Waiter(std::shared_ptr<Group> group, net::Loop& loop, Task on_granted)
      : group_(std::move(group)),
        loop_(loop),
        call_(std::make_shared<Call>(Call{std::move(on_granted), group_})) {}
  ~Waiter() { group_->forget_waiter(this); }

  void grant() {
    loop_.post([call = call_] { call->run(); });
  }
  void cancel() { call_->cancelled = true; }

 private:
  // Outlives the waiter while a post is under way: a slot granted to one who left goes on.
  struct Call {
    Task task;
    std::shared_ptr<Group> group;
    bool cancelled = false;
    void run() {
      if (cancelled) {
        group->give_back();
      } else {
        task();
      }
    }
  };
  std::shared_ptr<Group> group_;
  net::Loop& loop_;
  std::shared_ptr<Call> call_;
};

Group::Admission Group::admit(net::Loop& loop, Task on_granted, std::shared_ptr<Waiter>* waiter) {
  std::lock_guard lock(mutex_);
  if (inflight_ < settings_.concurrency) {
    ++inflight_;
    return Admission::granted;
  }
  if (waiting_.size() >= settings_.queue) return Admission::refused;
  *waiter = std::make_shared<Waiter>(shared_from_this(), loop, std::move(on_granted));
  waiting_.push_back(waiter->get());
  return Admission::queued;
}

void Group::give_back() {
  std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    --inflight_;
    return;
  }
  Waiter* next = waiting_.front();  // the slot passes on
  waiting_.pop_front();
  next->grant();
}

void Group::forget_waiter(const Waiter* waiter) {
  std::lock_guard lock(mutex_);
  const_cast<Waiter*>(waiter)->cancel();
  std::erase(waiting_, waiter);
}

uint32_t Group::inflight() const {
  std::lock_guard lock(mutex_);
  return inflight_;
}

void Group::count_request() {
  const auto earned = static_cast<int64_t>(settings_.retry_budget * kRetryCost);
  if (retry_credit_.load(std::memory_order_relaxed) < kRetryCreditMax) {
    retry_credit_.fetch_add(earned, std::memory_order_relaxed);
  }
}

bool Group::may_retry() {
  if (retry_credit_.fetch_sub(kRetryCost, std::memory_order_relaxed) >= kRetryCost) return true;
  retry_credit_.fetch_add(kRetryCost, std::memory_order_relaxed);
  return false;
}

void Group::replace_members(std::vector<MemberSettings> members) {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Member>> next;
  for (MemberSettings& settings : members) {
    auto made = std::make_shared<Member>(std::move(settings));
    for (const std::shared_ptr<Member>& old : members_) {
      if (old->id != made->id) continue;
      made->failures.store(old->failures.load());
      made->ejections.store(old->ejections.load());
      made->ejected_until_ns.store(old->ejected_until_ns.load());
      made->ewma_us.store(old->ewma_us.load());
    }
    next.push_back(std::move(made));
  }
  members_ = std::move(next);
}

void Group::member_failed(Member& member, MonoTime now) {
  const uint32_t failures = member.failures.fetch_add(1, std::memory_order_relaxed) + 1;
  if (settings_.eject_after == 0 || failures < settings_.eject_after || member.ejected(now)) return;
  const std::vector<std::shared_ptr<Member>> all = members();
  const auto out = static_cast<double>(
      std::count_if(all.begin(), all.end(), [&](const auto& m) { return m->ejected(now); }));
  const double most = std::max(1.0, settings_.eject_max_share * static_cast<double>(all.size()));
  if (out + 1 > most) return;
  const uint32_t times = std::min<uint32_t>(member.ejections.fetch_add(1), 16);
  const Duration hold =
      std::min<Duration>(settings_.eject_time * (int64_t{1} << times), settings_.eject_time_max);
  member.failures.store(0, std::memory_order_relaxed);
  member.ejected_until_ns.store((now + hold).ns, std::memory_order_relaxed);
}

std::vector<MemberStatus> Group::status(MonoTime now) const {
  std::vector<MemberStatus> rows;
  for (const std::shared_ptr<Member>& m : members()) {
    rows.push_back({.address = m->settings.target.address.text(),
                    .state = m->settings.drain ? "drain"
                             : m->ejected(now) ? "ejected"
                                               : "up",
                    .inflight = m->inflight.load(std::memory_order_relaxed),
                    .ewma_ms = m->ewma_us.load(std::memory_order_relaxed) / 1000});
  }
  return rows;
}

}  // namespace bw::edge
