// The one thread that changes a disk tier: it writes what is queued, and it is the disk's doctor.
//
// Threads: the public calls from any; the rest is the writer's. Bounds: `queue_bytes` of bodies and
// 65,536 other orders wait, half of them raises; beyond, refused. What is to go is never refused:
// beyond the bound the tier is made empty instead. Errors: one of the disk stops writing; what is
// queued is answered with io, and after first_retry (doubling to 60 s) folder, catalogue and files
// are opened anew. Lifetime: the destructor writes what is queued.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/slice.h"
#include "core/base/task.h"
#include "edge/cache/disk_folder.h"
#include "edge/cache/disk_shared.h"
#include "edge/cache/segment_ring.h"

namespace bw::edge {

class DiskWriter {
 public:
  // An object on its way: shared by its DiskWrite and its orders.
  struct Session {
    Hash128 key;
    uint64_t generation = 0;
    uint64_t incarnation = 0;       // of the disk; what began before a failure ends with it
    std::atomic<bool> dead{false};  // dropped: its orders aren't worth writing
    std::vector<Place> pieces;      // the writer's
    uint64_t bytes = 0;             // the writer's: of the pieces' records
  };
  struct Order {
    enum class Kind : uint8_t { piece, commit, raise, erase, flush };
    Kind kind = Kind::flush;
    std::shared_ptr<Session> session;    // piece, commit
    std::unique_ptr<DiskRecord> record;  // commit
    std::vector<Slice> body;             // piece, commit
    size_t body_size = 0;
    size_t charge = 0;  // of queue_bytes; given back when the order is done
    Hash128 key;        // raise, erase
    uint64_t generation = 0;
    uint64_t pos = 0;
    UniqueFunction<void(Status)> done;
  };

  DiskWriter(DiskShared& shared, std::unique_ptr<DiskFolder> folder);
  ~DiskWriter();
  DiskWriter(const DiskWriter&) = delete;
  DiskWriter& operator=(const DiskWriter&) = delete;

  // Until the first try to open has ended, at most this long.
  void wait_opened(Duration at_most);
  // Room in the queue; false: refused.
  bool reserve(size_t bytes);
  void release(size_t bytes) { queued_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  uint64_t incarnation() const { return incarnation_.load(std::memory_order_acquire); }
  // Takes the order in any case; one that is refused is answered and its charge given back.
  void enqueue(Order order);
  // An object that couldn't be stored: the one it was to replace must not outlive it.
  void erase_older(const Session& session);

 private:
  void run();
  void refuse_queued();
  void finish(Order& order, const Status& status);
  bool doctor();
  Status open_disk(std::string* why);
  Status open_catalogue(std::string* why);
  Status make_empty();
  Status tidy_segments();
  void give_back_room();

  Status carry_out(Order& order);
  Status write_piece(Order& order);
  Status write_object(Order& order);
  Status raise(const Order& order);
  Status erase(const Order& order);
  Result<Place> write_record(RecordHead& head, const std::vector<Slice>& body, size_t body_size);
  // Fails the tier when this is an error of the disk.
  void judge(const Error& error);

  DiskShared& shared_;
  std::unique_ptr<DiskFolder> folder_;
  SegmentRing ring_;
  std::string buffer_;
  int index_failures_ = 0;
  bool was_open_ = false;

  std::atomic<size_t> queued_bytes_{0};
  std::atomic<uint64_t> incarnation_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Order> queue_;
  size_t small_orders_ = 0;
  bool make_empty_ = false;  // more was to go than is remembered
  bool tried_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace bw::edge
