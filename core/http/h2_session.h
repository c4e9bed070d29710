// The frames of one HTTP/2 connection, either side, over nghttp2: streams, flow control, floods.
//
// Bytes go in by receive(); output is gathered once at the end of a turn and written in as few
// pieces as possible (bodies are pinned, never copied). Pulling stops while the connection holds
// more than its high water. Threads: the connection's loop. Lifetime: owned by its connection
// object; streams must be closed or forgotten before it goes. Bounds: H2Limits and the flood table
// in h2_session.cc; breaking one is GOAWAY ENHANCE_YOUR_CALM and Owner::on_failed.
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
    virtual H2Stream* on_stream_begin() = 0;
    // Streams that we opened above `last` were not processed.
    virtual void on_goaway(int32_t last, uint32_t code) = 0;
    virtual void on_settings() {}
    // The connection is of no more use; a GOAWAY may be queued. Streams weren't told.
    virtual void on_failed(Error error) = 0;
    // After output was written: streams may be done.
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
  // Writes now, once: before a close.
  void flush_last();

  // `stream.out_head_` (pseudo-fields first) is submitted at the turn's end.
  void start_response(H2Stream& stream);
  void start_request(H2Stream& stream);
  // At once, in front of the response; pseudo-field first.
  void send_informational(H2Stream& stream, const FieldList& fields);
  void reset(H2Stream& stream, H2Code code);
  // Announces the end; the last stream named is the highest one begun, or 2^31-1 when `soft`.
  void goaway(H2Code code, bool soft);
  void ping();
  // Takes a stream that isn't closed away from nghttp2's callbacks.
  void forget(H2Stream& stream);

  bool failed() const { return failed_; }
  // Nothing is to be read or written any more (GOAWAY done).
  bool finished() const;
  uint32_t peer_max_streams() const;
  bool may_open_stream() const;
  // When the header block under way began; zero: none is.
  MonoTime header_since() const { return header_since_; }
  net::Loop& loop() { return loop_; }
  uint64_t window_left(const H2Stream& stream) const;

 private:
  friend class H2Stream;
  struct Callbacks;  // nghttp2's side, h2_session.cc
  // What a peer may do only so often in kFloodWindow.
  enum class Flood : uint8_t { resets, faults, pings, settings, empty_data, priority, count };

  void fail(Error error);
  void count(Flood flood);
  void flush();
  void pump();
  void write_scratch();
  void submit_starting();
  void submit(H2Stream& stream);
  void resume_data(H2Stream& stream);
  void take_input(H2Stream& stream, std::string_view piece);
  void deliver(H2Stream& stream);
  void deliver_all();
  void tell_room();
  void tell_sent();
  void credit_connection(size_t n);
  void detach(H2Stream& stream);

  net::Loop& loop_;
  net::Connection& connection_;
  Owner& owner_;
  const H2Limits limits_;
  nghttp2_session* session_ = nullptr;
  std::shared_ptr<H2Session*> self_;  // tasks of the loop see through it whether we live

  std::string scratch_;  // heads, frame headers and small pieces of this turn
  uint64_t written_ = 0;
  bool scheduled_ = false;
  bool failed_ = false;
  bool in_callback_ = false;
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
