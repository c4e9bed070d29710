// Delivery: moves a body from an object or a fill into a stream, by pull.
//
// Way of a hit: Exchange -> Store::find -> Delivery -> ServerStream. Threads: its loop's; reads
// from the disk come back by post. Lifetime: owned by its exchange, which calls on_writable() and
// on_fill(). Bounds: one read of the disk in flight, at most what the stream takes beyond it; a
// disk that is busy is asked again for up to kPatience, since nobody else has the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/http/server_stream.h"
#include "edge/cache/object.h"
#include "edge/proxy/answer.h"
#include "edge/proxy/fill.h"

namespace bw::edge {

class DeliveryEvents {
 public:
  virtual ~DeliveryEvents() = default;
  // The stream was finished, or aborted because of `error`: neither may be used any more.
  virtual void on_delivered(std::optional<Error> error) = 0;
  // The rest is to be read from the stored object: answered by resume_from() or no_rest(), and
  // asked again when that says busy.
  virtual void on_overrun() = 0;
};

class Delivery {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(10);
  static constexpr Duration kAskAgain = std::chrono::milliseconds(20);

  Delivery(net::Loop& loop, http::ServerStream& stream, DeliveryEvents& events);
  ~Delivery();
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // The head was sent. `part` of the body follows. `first`: bytes at its start that were read
  // already (of an object that isn't in memory).
  void from_object(Ref<Object> object, uint64_t offset, uint64_t length, Slice first = {});
  void from_fill(FillReader& reader, const Part& part);
  // The fill that was overrun goes on from this object.
  void resume_from(Ref<Object> object);
  // The rest couldn't be had: breaks the message, or asks again when the disk is only busy.
  void no_rest(const Error& error);

  void on_writable() { pump(); }
  void on_fill() { pump(); }
  // The stream is gone: nothing is sent any more.
  void stop();
  uint64_t sent() const { return sent_; }

 private:
  enum class Source : uint8_t { none, memory, disk, fill };
  void pump();
  void pump_memory();
  void pump_disk();
  void pump_fill();
  void read_on();
  void on_read(Result<Slice> piece);
  void send(Slice piece);
  void finish(const http::FieldList* trailers);
  void abort(Error error);

  net::Loop& loop_;
  http::ServerStream& stream_;
  DeliveryEvents& events_;
  Source source_ = Source::none;
  Ref<Object> object_;
  std::vector<Slice> slices_;  // of an object in memory
  size_t next_slice_ = 0;
  FillReader* reader_ = nullptr;
  uint64_t offset_ = 0;  // of the next byte in the representation
  uint64_t left_ = 0;    // to be sent; UINT64_MAX: to the end
  uint64_t sent_ = 0;
  bool reading_ = false;
  std::optional<MonoTime> busy_since_;  // the disk answers no read
  std::unique_ptr<net::Timer> again_;
  bool done_ = false;
  std::shared_ptr<Delivery*> self_;  // what a read's callback asks whether it still matters
};

}  // namespace bw::edge
