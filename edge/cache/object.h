// A stored response: immutable after commit, pinned by whoever delivers it.
//
// Threads: all of it may be read from any thread; `pos`, `local` and `last_validated` are atomics,
// relaxed, written only when they change. Lifetime: Ref<Object>; dies with the last pin. The body
// is either in memory (slices) or on disk (a source that is read piece by piece).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/base/task.h"
#include "core/http/field_list.h"
#include "core/http/prepared_head.h"
#include "edge/cache/freshness.h"
#include "edge/cache/key.h"
#include "edge/cache/position.h"
#include "edge/cache/validators.h"

namespace bw::edge {

// Everything about a stored response but its body.
struct ObjectMeta {
  CacheKey key;                   // of the request that brought it
  Hash128 variant;                // == key.hash without Vary
  bool vary_mark = false;         // not a response: says which names select this key's variants
  std::vector<std::string> vary;  // names, sorted
  int status = 0;
  http::FieldList fields;      // ready to send: no Age, Content-Length, hop-by-hop or Breakwater-*
  std::vector<uint64_t> tags;  // of a vary_mark: hi and lo of each variant, the oldest first
  Freshness freshness;
  Validators validators;
  uint64_t body_size = 0;
  uint64_t generation = 0;  // order in which fetches began (Store::begin_fetch)
  Position pos = 0;         // of the fill
  uint64_t local = 0;       // of the fill
};
std::string encode_meta(const ObjectMeta& meta);
// Errors: corrupt. Every bound is checked; bytes may come from anywhere.
Result<ObjectMeta> decode_meta(std::string_view bytes);

// Reads a body that isn't in memory. Threads: `done` may run on any thread, also inside the call.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Answers 1..length bytes from offset.
  virtual void read(uint64_t offset, size_t length, UniqueFunction<void(Result<Slice>)> done) = 0;
};

class Object final : public Pinned {
 public:
  Object(ObjectMeta meta, std::vector<Slice> body);
  Object(ObjectMeta meta, std::shared_ptr<BodySource> source);

  const ObjectMeta& meta() const { return meta_; }
  uint64_t size() const { return meta_.body_size; }
  bool in_memory() const { return source_ == nullptr; }
  // Of an object in memory: the pieces of a part of the body. Needs offset + length <= size().
  std::vector<Slice> slices(uint64_t offset, uint64_t length) const;
  const std::vector<Slice>& body() const { return body_; }
  // Of an object in memory: its head as clients may see it, without Age, Via and Cache-Status.
  const http::PreparedHead& head() const { return head_; }
  BodySource* source() const { return source_.get(); }
  const std::shared_ptr<BodySource>& shared_source() const { return source_; }
  // Bytes it holds in memory: body, fields, itself.
  size_t charge() const { return charge_; }
  // From now on until it dies its charge counts in `ledger`: who let go of it is still read from.
  // Once.
  void count_in(std::shared_ptr<std::atomic<size_t>> ledger) const;
  PurgeKeys purge_keys() const { return meta_.key.purge_keys(meta_.tags); }

  Position pos() const { return pos_.load(std::memory_order_relaxed); }
  uint64_t local() const { return local_.load(std::memory_order_relaxed); }
  // Only upwards.
  void raise(Position pos, uint64_t local) const;
  // When the first byte was sent of the request that last fetched or validated it; 0: not by this
  // process.
  MonoTime last_validated() const { return {validated_.load(std::memory_order_relaxed)}; }
  void set_validated(MonoTime sent) const { validated_.store(sent.ns, std::memory_order_relaxed); }

 private:
  ~Object() override;
  ObjectMeta meta_;
  std::vector<Slice> body_;
  std::shared_ptr<BodySource> source_;
  http::PreparedHead head_;
  size_t charge_ = 0;
  mutable std::atomic<Position> pos_;
  mutable std::atomic<uint64_t> local_;
  mutable std::atomic<int64_t> validated_{0};
  mutable std::shared_ptr<std::atomic<size_t>> ledger_;
};

}  // namespace bw::edge
