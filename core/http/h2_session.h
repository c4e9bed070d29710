// The frames of one HTTP/2 connection, either side, over nghttp2: streams, flow control, floods.
//
// Bytes go in by receive(); output is gathered once at the end of a turn and written in as few
// pieces as possible (large bodies are pinned, never copied). Making of frames stops while the
// connection holds more than its high water. Threads: the connection's loop. Lifetime: owned by its
// connection object and destroyed before its streams. Bounds: H2Limits and the flood table in
// h2_session.cc; breaking one is GOAWAY ENHANCE_YOUR_CALM and Owner::on_failed.
// Private to core/http.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/http/h2_stream.h"
#include "core/net/connection.h"
#include "core/net/loop.h"

struct nghttp2_session;

namespace bw::http {

struct H2Limits {
  bool server = true;
  uint32_t max_streams = 128;          // that the peer may open
  size_t max_header_list = 32 * 1024;  // announced; enforced by the streams
  // One paused stream holds at most stream_window; the connection's window is given back while
  // bytes wait, up to kHeldCredit, so that it cannot block others.
  int32_t stream_window = 256 * 1024;
  int32_t connection_window = 2 * 1024 * 1024;
};

// Error codes of RFC 9113 section 7 that we use.
enum class H2Code : uint32_t {
  no_error = 0,
  protocol_error = 1,
  internal_error = 2,
  refused_stream = 7,
  cancel = 8,
  enhance_your_calm = 11,
};

class H2Session {
 public:
  static constexpr size_t kHeldCredit = 8 * 1024 * 1024;

  class Owner {
   public:
    virtual ~Owner() = default;
    // Server: a request begins. Null refuses it (REFUSED_STREAM).
    virtual H2Stream* on_stream_begin() { return nullptr; }
    // The peer opens, or takes, no further streams.
    virtual void on_goaway() {}
    virtual void on_settings() {}
    virtual void on_ping_answered() {}
    // The connection is of no more use; its GOAWAY is queued. Streams weren't told.
    virtual void on_failed(Error error) = 0;
    // After output was made: the session may be finished().
    virtual void on_flushed() {}
  };

  H2Session(net::Loop& loop, net::Connection& connection, Owner& owner, const H2Limits& limits);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  void receive(std::string_view bytes);
  // Writes at the end of this turn what is to be written.
  void schedule();
  void on_drained() { schedule(); }
  // The kernel took bytes.
  void on_progress() { tell_sent(); }
  // Writes now: before a close.
  void flush_last();
  // Nothing is read, written or told any more.
  void quit() { quit_ = true; }

  // `stream.out_head_` (pseudo-fields first) is submitted at the turn's end.
  void start(H2Stream& stream);
  // At once, in front of the response; pseudo-field first.
  void send_informational(H2Stream& stream, const FieldList& fields);
  void reset(H2Stream& stream, H2Code code);
  // Announces the end; the last stream named is the highest one begun, or 2^31-1 when `soft`.
  void goaway(H2Code code, bool soft);
  void ping();

  // Nothing is to be read or written any more (GOAWAY done).
  bool finished() const;
  uint32_t peer_max_streams() const;
  bool may_open_stream() const;
  // When the header block under way began; zero: none is.
  MonoTime header_since() const { return header_since_; }
  net::Loop& loop() { return loop_; }
  net::Connection& connection() { return connection_; }

 private:
  friend class H2Stream;
  friend struct H2Callbacks;  // nghttp2's side, h2_callbacks.cc
  // What a peer may do only so often in kFloodWindow.
  enum class Flood : uint8_t { resets, faults, pings, settings, empty_data, priority, count };

  void fail(Error error);
  bool count(Flood flood);  // false: too often
  void flush();
  bool pump();
  bool full() const;
  void write_scratch();
  void submit(H2Stream& stream);
  void resume_data(H2Stream& stream);
  void take_input(H2Stream& stream, std::string_view piece);
  void end_input(H2Stream& stream);
  void queue_delivery(H2Stream& stream);
  void deliver(H2Stream& stream);
  void release_held(H2Stream& stream);
  void on_consumed(H2Stream& stream);
  void tell_sent();
  void on_closed(H2Stream& stream, uint32_t code);
  void leave_lists(H2Stream& stream);

  net::Loop& loop_;
  net::Connection& connection_;
  Owner& owner_;
  const H2Limits limits_;
  nghttp2_session* session_ = nullptr;
  std::shared_ptr<H2Session*> self_;  // tasks of the loop see through it whether we live

  std::string scratch_;  // heads, frame headers and small pieces of this turn
  uint64_t written_ = 0;
  uint64_t taken_ = 0;  // of it, by the kernel
  bool scheduled_ = false;
  bool quit_ = false;
  bool flooded_ = false;
  H2Stream* header_stream_ = nullptr;  // whose header block is under way
  size_t header_bytes_ = 0;
  MonoTime header_since_;
  size_t held_ = 0;  // input of all streams that waits and was credited
  std::vector<H2Stream*> starting_;
  std::vector<H2Stream*> delivering_;
  std::vector<H2Stream*> roomy_;
  struct Unsent {
    uint64_t offset;
    H2Stream* stream;
  };
  std::vector<Unsent> unsent_;
  MonoTime flood_since_;
  uint32_t floods_[static_cast<size_t>(Flood::count)] = {};
};

}  // namespace bw::http
