#include "origin/outbox.h"

#include <algorithm>
#include <set>

#include "core/base/log.h"

namespace bw::origin {
namespace {

constexpr Duration kFirstWait = std::chrono::milliseconds(100);
constexpr Duration kLongestWait = std::chrono::seconds(5);
constexpr Duration kTimeout = std::chrono::seconds(10);

}  // namespace

Outbox::Outbox(net::Loop& loop, Executor& executor, ProductStore& store,
               std::shared_ptr<purge::ServiceLink> link, std::string site, OriginMetrics& metrics)
    : loop_(loop),
      executor_(executor),
      store_(store),
      site_(std::move(site)),
      metrics_(metrics),
      publisher_(loop, std::move(link), &executor),
      timer_(loop, [this] { read(); }),
      next_wait_(kFirstWait) {}

void Outbox::poke() {
  metrics_.outbox.set(static_cast<double>(store_.outbox_size()));
  if (state_ == State::idle) {
    read();
  } else {
    poked_ = true;
  }
}

void Outbox::read() {
  state_ = State::reading;
  poked_ = false;
  const Status submitted = executor_.submit([this, alive = std::weak_ptr(alive_)]() mutable {
    Result<std::vector<OutboxEntry>> entries = store_.outbox(kBatch);
    loop_.post([this, alive = std::move(alive), entries = std::move(entries)] {
      if (alive.expired()) return;
      if (!entries) {
        wait();
      } else if (!entries->empty()) {
        publish(*entries);
      } else {
        state_ = State::idle;
        if (poked_) read();
      }
    });
  });
  if (!submitted) wait();
}

void Outbox::publish(const std::vector<OutboxEntry>& entries) {
  state_ = State::publishing;
  first_ = entries.front().number;
  last_ = entries.back().number;
  std::set<std::string> tags;
  for (const OutboxEntry& entry : entries) tags.insert(entry.tags.begin(), entry.tags.end());
  purge::PurgeRequest request;
  request.tags.assign(tags.begin(), tags.end());
  request.reason = "origin write";
  publisher_.publish(site_, purge::encode_purge_request(request),
                     store_.instance() + "-" + std::to_string(first_) + "-" + std::to_string(last_),
                     kTimeout,
                     [this](Result<purge::PurgeAnswer> answer) { on_answer(std::move(answer)); });
}

void Outbox::on_answer(Result<purge::PurgeAnswer> answer) {
  if (answer && answer->durable()) {
    metrics_.purges.with({"durable"}).add();
    if (told_) log::info("purges of writes are published again");
    told_ = false;
    next_wait_ = kFirstWait;
    last_receipt_ = std::move(answer->body);
    forget();
    return;
  }
  // What can't ever be accepted as it is must not hold up what follows.
  const bool hopeless = answer &&
                        (answer->status == 400 || answer->status == 413 || answer->status == 422 ||
                         answer->status == 409) &&
                        !answer->retry_later();
  if (hopeless) {
    metrics_.purges.with({"refused"}).add();
    log::error("the purge service refused the purge of a write for good: " + answer->body);
    forget();
    return;
  }
  metrics_.purges.with({"retried"}).add();
  if (!told_) {
    told_ = true;
    log::error("purges of writes wait: " +
               (answer ? "the purge service answers " + std::to_string(answer->status)
                       : describe(answer.error())));
  }
  wait();
}

void Outbox::forget() {
  state_ = State::forgetting;
  const Status submitted =
      executor_.submit([this, alive = std::weak_ptr(alive_), last = last_]() mutable {
        const Status forgotten = store_.forget(last);
        loop_.post([this, alive = std::move(alive), forgotten] {
          if (alive.expired()) return;
          metrics_.outbox.set(static_cast<double>(store_.outbox_size()));
          if (forgotten) {
            read();
          } else {
            wait();
          }
        });
      });
  if (!submitted) wait();
}

void Outbox::wait() {
  state_ = State::waiting;
  timer_.arm(next_wait_);
  next_wait_ = std::min(next_wait_ * 2, kLongestWait);
}

}  // namespace bw::origin
