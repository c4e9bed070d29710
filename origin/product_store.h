// Products on disk, and beside them what their writes owe the purge service.
//
// Spaces: products (shortlex by id), outbox, events, meta. A write and its outbox entry are one
// batch: either both are there after a crash or neither. Threads: any that may block (the
// executor); changes take one lock, so that a condition and its write are one step. Bounds:
// kMaxOutbox entries (then writes are refused, busy), the last kMaxEvents events.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/kv/db.h"

namespace bw::origin {

struct StoredProduct {
  std::string id;
  std::string text;  // JSON
  WallTime updated;
};

struct OutboxEntry {
  uint64_t number = 0;
  std::vector<std::string> tags;
};

class ProductStore {
 public:
  static constexpr size_t kMaxOutbox = 100'000;
  static constexpr uint64_t kMaxEvents = 10'000;

  // `publishes`: changes leave outbox entries. `why` receives a line for people.
  static Result<std::unique_ptr<ProductStore>> open(const std::string& path, bool publishes,
                                                    Random& random, std::string* why);

  bool empty() const;
  // Products 1 to `count` of the catalogue.
  Status generate(uint64_t count, WallTime now);
  // The products of a file that are not stored yet; answers how many.
  Result<uint64_t> load(const std::string& file, WallTime now, std::string* why);

  Result<std::optional<StoredProduct>> get(std::string_view id) const;
  // Up to `limit` products after the id `after` (empty: from the start).
  Result<std::vector<StoredProduct>> list(std::string_view after, size_t limit) const;

  // What to do about a product, decided under the lock.
  struct Change {
    enum class Kind : uint8_t { none, put, erase } kind = Kind::none;
    std::string text;
    std::vector<std::string> tags;  // to purge
  };
  using Decide = std::function<Change(const std::optional<StoredProduct>& current)>;
  Status change(std::string_view id, WallTime now, const Decide& decide);

  // Answers the event's number.
  Result<uint64_t> add_event(std::string_view text);

  // The oldest entries.
  Result<std::vector<OutboxEntry>> outbox(size_t limit) const;
  // Forgets the entries up to and including `number`.
  Status forget(uint64_t number);
  size_t outbox_size() const { return outbox_size_.load(std::memory_order_relaxed); }
  // Names this store to the purge service, the same as long as the store lives.
  const std::string& instance() const { return instance_; }

 private:
  explicit ProductStore(std::unique_ptr<kv::Db> db) : db_(std::move(db)) {}
  Status start(bool publishes, Random& random);

  const std::unique_ptr<kv::Db> db_;
  std::string instance_;
  bool publishes_ = false;
  std::mutex mutex_;  // of changes
  uint64_t next_outbox_ = 1;
  uint64_t next_event_ = 1;
  std::atomic<size_t> outbox_size_{0};
};

}  // namespace bw::origin
