// One stream of an HTTP/2 session: what waits to be sent, and what came while reading was paused.
//
// Threads: the connection's loop. Lifetime: must live until on_closed() or until its session forgot
// it. Bounds: output asks for no more beyond kQueueHigh; input that waits is at most one
// flow-control window. Private to core/http: h2_server.cc and h2_client.cc derive from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/slice.h"
#include "core/http/field_list.h"

namespace bw::http {

class H2Session;

class H2Stream {
 public:
  static constexpr size_t kQueueHigh = 128 * 1024;
  static constexpr size_t kQueueLow = 48 * 1024;

  explicit H2Stream(H2Session& session) : session_(&session) {}
  virtual ~H2Stream() = default;
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

  int32_t id() const { return id_; }

 protected:
  friend class H2Session;

  // What the session tells. Heads and trailers: any number of on_field, then on_fields_end.
  virtual void on_field(std::string_view name, std::string_view value) = 0;
  virtual void on_fields_end() = 0;
  virtual void on_piece(std::string_view piece) = 0;  // not while paused
  virtual void on_stream_end() = 0;                   // after all pieces; not while paused
  virtual void on_room() {}                           // queue_wants_more() is true again
  virtual void on_sent_whole() {}  // END_STREAM and all before it were given to the kernel
  // nghttp2 knows the stream no more: both sides ended (code 0), or a reset by either side.
  virtual void on_closed(uint32_t code) = 0;

  // Output. The head is held until the turn's end, so that it carries END_STREAM when it can.
  void queue_body(Slice piece);
  void queue_end(const FieldList* trailers);
  bool queue_wants_more() const { return queued_ < kQueueHigh; }
  bool output_ended() const { return out_ended_; }
  bool in_ended() const { return in_ended_; }
  size_t queued() const { return queued_; }
  // Input.
  void pause_input() { paused_ = true; }
  void resume_input();
  bool input_paused() const { return paused_; }

  H2Session* session_;  // null once the session is gone
  int32_t id_ = 0;      // 0: not submitted yet
  FieldList out_head_;  // pseudo-fields first; lent to nghttp2 without a copy until the stream ends
  MonoTime last_in_;    // when bytes last came in, or reading resumed
  MonoTime last_out_;   // when a frame last left, or the queue last became non-empty
  uint64_t bytes_out_ = 0;
  bool closed_ = false;

 private:
  std::deque<Slice> queue_;
  size_t queued_ = 0;
  FieldList trailers_;
  bool out_ended_ = false;
  bool starved_ = false;     // nghttp2 waits for resume_data
  bool wants_room_ = false;  // the queue was over kQueueHigh

  std::string held_;       // input that waits
  size_t uncredited_ = 0;  // of it, not yet given back to the connection's window
  bool paused_ = false;
  bool delivering_ = false;
  bool in_ended_ = false;
  bool in_end_told_ = false;
};

}  // namespace bw::http
