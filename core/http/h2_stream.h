// One stream of an HTTP/2 session: what waits to be sent, and what came while reading was paused.
//
// Threads: the connection's loop. Lifetime: must live until on_closed(), on a server until
// on_sent_whole() too if its output was made whole; or until its session's end. Bounds: output asks
// for no more beyond kQueueHigh; input that waits is at most one flow-control window.
// Private to core/http: h2_server_stream.cc and h2_client.cc derive from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/slice.h"
#include "core/http/field_list.h"

namespace bw::http {

class H2Session;

class H2Stream {
 public:
  static constexpr size_t kQueueHigh = 128 * 1024;
  static constexpr size_t kQueueLow = 48 * 1024;

  H2Stream() = default;
  virtual ~H2Stream() = default;
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

 protected:
  friend class H2Session;
  friend struct H2Callbacks;

  // What the session tells. Heads and trailers: any number of on_field, then on_fields_end.
  virtual void on_field(std::string_view name, std::string_view value) = 0;
  virtual void on_fields_end(bool end_stream) = 0;
  virtual void on_piece(std::string_view piece) = 0;  // not while paused
  virtual void on_stream_end() = 0;                   // after all pieces; not while paused
  virtual void on_resumed() {}                        // in front of what had waited
  virtual void on_room() {}                           // queue_wants_more() is true again
  virtual void on_output() {}                         // a frame of the body was made
  // Server: END_STREAM and all before it were given to the kernel.
  virtual void on_sent_whole() {}
  // nghttp2 forgot the stream: both sides ended (code 0), or a reset by either side.
  virtual void on_closed(uint32_t code) = 0;

  // As new, in `session`; memory is kept.
  void begin(H2Session& session);

  // Output. The head is held until the turn's end, so that it carries END_STREAM when it can.
  void queue_body(Slice piece);
  void queue_end(const FieldList* trailers);
  // While held no body leaves.
  void hold_body() { body_held_ = true; }
  void release_body();
  bool queue_wants_more() const { return queued_ < kQueueHigh; }
  size_t queued() const { return queued_; }
  // Input.
  void pause_input() { paused_ = true; }
  void resume_input();
  bool input_paused() const { return paused_; }
  // From now on input is dropped; its end is still told.
  void discard_input();
  // Drops what waits on either side; its flow-control credit goes back to the connection.
  void drop_all();

  H2Session* session_ = nullptr;
  int32_t id_ = 0;      // 0: not submitted yet
  FieldList out_head_;  // lent to nghttp2 without a copy until the stream ends
  MonoTime last_in_;    // when bytes last came in, or reading resumed
  MonoTime last_out_;   // when a frame last left, or the queue last became non-empty
  uint64_t bytes_out_ = 0;
  bool closed_ = false;    // nghttp2 knows it no more
  bool reset_ = false;     // by us
  bool out_made_ = false;  // all frames of our side were made

 private:
  std::vector<Slice> queue_;
  size_t queue_first_ = 0;
  size_t queued_ = 0;
  FieldList trailers_;
  bool out_ended_ = false;
  bool body_held_ = false;
  bool starved_ = false;     // nghttp2 waits for resume_data
  bool wants_room_ = false;  // the producer saw queue_wants_more() == false
  bool starting_ = false;    // in the session's lists of that name
  bool delivering_ = false;
  bool roomy_ = false;

  std::string held_;            // input that waits
  size_t held_uncredited_ = 0;  // of it, not yet given back to the connection's window
  bool paused_ = false;
  bool discarding_ = false;
  bool in_ended_ = false;
  bool in_end_told_ = false;
  bool close_waits_ = false;  // nghttp2 forgot it, but its input's end wasn't told yet
};

}  // namespace bw::http
