#include "edge/cache/disk_reads.h"

namespace bw::edge {
namespace {

constexpr size_t kQueue = 256;
constexpr std::chrono::milliseconds kLook(20);  // between two looks while reads are under way

Error busy() {
  return Error{
      .kind = Error::Kind::busy, .side = Error::Side::storage, .text = "disk reads wait too long"};
}

Error hung() {
  return Error{.kind = Error::Kind::io, .side = Error::Side::storage, .text = "disk read hangs"};
}

}  // namespace

DiskReads::DiskReads(Limits limits, Clock& clock, Task on_hang)
    : limits_(limits),
      clock_(clock),
      on_hang_(std::move(on_hang)),
      executor_(std::make_unique<Executor>("disk-read", limits.readers, kQueue)),
      watcher_([this] { watch(); }) {}

DiskReads::~DiskReads() {
  executor_.reset();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  watcher_.join();
}

void DiskReads::submit_any(UniqueFunction<Task()> work, UniqueFunction<void(Error)> give_up) {
  auto read = std::make_shared<Read>();
  read->since_ns.store(clock_.mono().ns, std::memory_order_relaxed);
  read->work = std::move(work);
  read->give_up = std::move(give_up);
  const Status accepted = executor_->submit([this, read] { run(*read); });
  if (!accepted.ok()) {
    if (claim(*read, Stage::queued)) read->give_up(busy());
    return;
  }
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = reads_.empty();
    reads_.push_back(std::move(read));
  }
  if (first) wake_.notify_one();
}

bool DiskReads::claim(Read& read, Stage from) {
  return read.stage.compare_exchange_strong(from, Stage::answered, std::memory_order_acq_rel);
}

void DiskReads::run(Read& read) {
  const int64_t now = clock_.mono().ns;
  if (now - read.since_ns.load(std::memory_order_relaxed) > limits_.wait.count()) {
    if (claim(read, Stage::queued)) read.give_up(busy());
    return;
  }
  read.since_ns.store(now, std::memory_order_relaxed);
  Stage queued = Stage::queued;
  if (!read.stage.compare_exchange_strong(queued, Stage::running, std::memory_order_acq_rel)) {
    return;  // the watcher was faster
  }
  Task answer = read.work();
  if (claim(read, Stage::running)) answer();
}

void DiskReads::watch() {
  std::list<std::shared_ptr<Read>> seen;
  std::unique_lock lock(mutex_);
  for (;;) {
    seen.splice(seen.end(), reads_);
    if (stopping_) return;
    if (seen.empty()) {
      wake_.wait(lock, [this] { return stopping_ || !reads_.empty(); });
      continue;
    }
    lock.unlock();
    look(seen);
    lock.lock();
    if (!stopping_) wake_.wait_for(lock, kLook);
  }
}

void DiskReads::look(std::list<std::shared_ptr<Read>>& reads) {
  const int64_t now = clock_.mono().ns;
  bool hangs = false;
  for (auto at = reads.begin(); at != reads.end();) {
    Read& read = **at;
    const Stage stage = read.stage.load(std::memory_order_acquire);
    const int64_t age = now - read.since_ns.load(std::memory_order_relaxed);
    if (stage == Stage::queued && age > limits_.wait.count()) {
      if (claim(read, Stage::queued)) read.give_up(busy());
    } else if (stage == Stage::running && age > limits_.hang.count()) {
      if (claim(read, Stage::running)) {
        hangs = true;
        read.give_up(hung());
      }
    }
    at = read.stage.load(std::memory_order_acquire) == Stage::answered ? reads.erase(at) : ++at;
  }
  if (hangs) on_hang_();
}

}  // namespace bw::edge
