// Fill: one fetch of one object, and everyone who reads it while it comes.
//
//   connecting ──304──> validated            the stored object, freshened
//        │  └──head──> body ──> complete
//        └──────────────┴─────> failed       every reader's message breaks, or is fetched anew
//
// Threads: the fetch runs on the loop of the worker that began it (its home); readers on any loop,
// told by one post a loop. Shared state is locked. Lifetime: the home worker keeps it until it
// ended; readers keep it as long as they read. A client that leaves never ends it: a response that
// is being stored is stored, another one ends with its last reader.
// Bounds: all it holds counts in the memory tier's budget (BodyMemory). All pieces of an object
// that memory will hold, else a window of kWindow: the fetch pauses for its slowest reader; when
// the disk keeps the object it goes with the fastest, and who falls behind reads on from the disk
// (FillReader::overrun): the fetch doesn't wait for him, nor he for anything but its end. A fill
// that the budget refuses gives up being kept in memory, then on disk, and then goes on only while
// a reader has nothing left to read: it never stops for good, and holds a block or two.
// See: edge/cache/purged_since.h for start, pos, joined; docs/adr/0003, 0006.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/slice.h"
#include "core/http/message.h"
#include "edge/cache/freshness.h"
#include "edge/cache/store.h"
#include "edge/proxy/tiered_fetch.h"

namespace bw::edge {

struct FillPlan {
  TierRequest request;       // as it leaves
  http::RequestHead client;  // of who leads: for judging and Vary
  std::shared_ptr<const SitePolicy> policy;
  CacheKey key;
  Hash128 slot;     // in the coalescer
  FillStart start;  // read before the first byte is sent
  uint64_t generation = 0;
  Ref<Object> stored;  // what is validated; null: nothing
  // Nothing stored may be combined with the answer: a purge that this node hasn't seen may have
  // passed it.
  bool through = false;
};

// The response as far as its head tells.
struct FillHead {
  http::ResponseHead head;   // without hop-by-hop, Breakwater-* and Cache-Status
  std::string cache_status;  // received
  Validators validators;
  Freshness freshness;
  std::vector<uint64_t> tags;
  std::vector<std::string> vary;
  bool shareable = false;            // may answer others than its leader
  Reason not_stored = Reason::none;  // none: it's being stored
  bool strip_set_cookie = false;     // for all but the leader
  bool stale = false;                // a shield said so
  Position pos = 0;
  std::string upstream;
  bool from_shield = false;
  uint32_t tries = 0;
};

class FillWatcher {
 public:
  virtual ~FillWatcher() = default;
  // State changed, or more can be read.
  virtual void on_fill() = 0;
};

enum class FillState : uint8_t { connecting, body, complete, validated, failed };

class FillReader;

class Fill final : public std::enable_shared_from_this<Fill>, public FetchEvents {
 public:
  // With what waits in a slow reader's connection (Connection::kHighWater) below 1 MiB a reader.
  static constexpr uint64_t kWindow = 512 << 10;

  Fill(Worker& home, FillPlan plan);
  ~Fill() override;

  // On the home loop, once.
  void start();
  // On the home loop: the worker goes.
  void close();

  // --- any thread
  FillState state() const;
  const FillPlan& plan() const { return plan_; }
  // Whether a request with tier need N may read this from its first byte on, as far as is known.
  bool may_join(Position need, std::optional<MonoTime> begun_after) const;
  std::unique_ptr<FillReader> join(net::Loop& loop, FillWatcher& watcher);
  // From state body on (also when failed after it): immutable. Null before.
  std::shared_ptr<const FillHead> head() const;
  // Of state validated, or of a complete fill that memory holds.
  Ref<Object> object() const;
  // Of state failed. `again`: nothing is wrong with the upstream, look up and fetch anew.
  struct Failure {
    Error error;
    bool again = false;
  };
  Failure failure() const;
  // Of state complete.
  std::shared_ptr<const http::FieldList> trailers() const;
  bool keeps_on_disk() const;

 private:
  friend class FillReader;
  struct LoopReaders {
    net::Loop* loop = nullptr;
    std::vector<FillReader*> readers;
    bool posted = false;
  };

  // Home loop.
  void on_fetch_head(const http::ResponseHead& head) override;
  void on_fetch_body(std::string_view piece) override;
  void on_fetch_end(const http::FieldList& trailers, bool proven) override;
  void on_fetch_error(Error error) override;
  void on_not_modified(const FillHead& received);
  void judge_head(FillHead& made, const http::ResponseHead& received);
  void begin_insert(FillHead& made, const Judgement& judgement);
  NewObject new_object(const FillHead& made, const Judgement& judgement) const;
  void append(std::string_view piece);
  void next_block();
  size_t block_size() const;
  bool make_room();
  void publish(Slice piece);
  void fail(Error error, bool again);
  void end(FillState state);
  void leave_coalescer();
  void look_at_readers();

  // Any thread.
  void notify();
  void tell(net::Loop* loop);
  enum class Pace : uint8_t { go_on, window, budget };  // why the fetch pauses
  void trim_locked();
  Pace pace_locked() const;
  void read_from_object_locked();
  void leave(FillReader& reader);

  Worker& home_;
  const FillPlan plan_;
  MonoTime begun_;
  WallTime requested_;

  // Home loop only.
  std::unique_ptr<TieredFetch> fetch_;
  std::unique_ptr<Insert> insert_;
  bool in_coalescer_ = true;
  bool paused_ = false;
  bool ended_ = false;
  std::shared_ptr<BodyMemory> memory_;
  Ref<BodyBlock> block_;  // pieces are cut from it
  size_t block_used_ = 0;

  mutable std::mutex mutex_;  // guards what follows; never held across a call-out
  FillState state_ = FillState::connecting;
  std::shared_ptr<const FillHead> head_;
  std::shared_ptr<const http::FieldList> trailers_;
  Failure failure_;
  Ref<Object> object_;
  std::deque<Slice> pieces_;  // the last one grows within its block
  uint64_t popped_ = 0;       // pieces that were let go
  uint64_t popped_bytes_ = 0;
  uint64_t total_ = 0;    // bytes that came
  bool keep_all_ = true;  // memory will hold it, as far as is known
  bool storing_ = false;
  bool scarce_ = false;  // the budget had no room for the last block
  bool look_posted_ = false;
  std::vector<LoopReaders> loops_;
};

// One reader's cursor. Threads: its loop's. Lifetime: dropping it leaves the fill.
class FillReader {
 public:
  FillReader(std::shared_ptr<Fill> fill, net::Loop& loop, FillWatcher& watcher);
  ~FillReader();
  FillReader(const FillReader&) = delete;
  FillReader& operator=(const FillReader&) = delete;

  Fill& fill() { return *fill_; }
  const Fill& fill() const { return *fill_; }
  // The next piece; empty: none now (see at_end, overrun).
  Slice read();
  uint64_t position() const { return position_; }
  // Everything of a complete fill was read.
  bool at_end() const;
  // What comes next was let go: read on from the stored object once the fill is complete, if it
  // still keeps_on_disk().
  bool overrun() const;

 private:
  friend class Fill;
  std::shared_ptr<Fill> fill_;
  net::Loop& loop_;
  FillWatcher& watcher_;
  // Guarded by the fill's mutex.
  uint64_t index_ = 0;     // of the piece that is read
  size_t within_ = 0;      // bytes of it that were
  uint64_t position_ = 0;  // bytes read in all
  bool waits_ = true;      // it found nothing to read, and could send more
};

}  // namespace bw::edge
