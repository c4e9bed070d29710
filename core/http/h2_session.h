// The frames of one HTTP/2 connection, either side, over nghttp2: streams, flow control, floods.
//
// Bytes go in by receive(); output is gathered once at the end of a turn and written in as few
// pieces as possible (large bodies are pinned, never copied). Producing stops while the connection
// holds more than its high water. Threads: the connection's loop. Lifetime: owned by its connection
// object; streams must be closed or forgotten before it goes. Bounds: H2Limits and kFloods in
// h2_session.cc; breaking one is GOAWAY ENHANCE_YOUR_CALM and Owner::on_failed. Private to
// core/http. See: RFC 9113.
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
  // Input of paused streams that is credited to the connection's window although it waits, so that
  // one stream can't block the others.
  static constexpr size_t kHeldCredit = 8 * 1024 * 1024;

  class Owner {
   public:
    virtual ~Owner() = default;
    // Server: a request begins. Null refuses it (REFUSED_STREAM).
    virtual H2Stream* on_stream_begin() = 0;
    // The peer goes away; streams it didn't process are closed with REFUSED_STREAM.
    virtual void on_goaway() = 0;
    virtual void on_settings() {}
    // The connection is of no more use; a GOAWAY may be queued. Streams weren't told. Once.
    virtual void on_failed(Error error) = 0;
  };

  H2Session(net::Loop& loop, net::Connection& connection, Owner& owner, const H2Limits& limits);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  void receive(std::string_view bytes);
  // Writes at the end of this turn what is to be written.
  void schedule();
  // The kernel took some: tells streams that were sent whole.
  void on_progress();
  void on_drained() { schedule(); }
  // Writes now: before a close.
  void flush();

  // `out_head_` goes at the turn's end.
  void start_response(H2Stream& stream);
  void start_request(H2Stream& stream);
  // At once, in front of the response; `:status` first.
  void send_informational(H2Stream& stream, const FieldList& fields);
  void reset(H2Stream& stream, H2Code code);
  // Announces the end; streams begun so far are still served.
  void goaway(H2Code code);
  // Takes a stream away from nghttp2's callbacks. Its output is dropped.
  void forget(H2Stream& stream);

  bool failed() const { return failed_; }
  // Nothing is to be read or written any more.
  bool finished() const;
  uint32_t peer_max_streams() const;
  // When the header block under way began; zero: none is.
  MonoTime header_since() const { return header_since_; }
  net::Loop& loop() { return loop_; }
  // Points to null once the session is gone.
  const std::shared_ptr<H2Session*>& alive() const { return self_; }

 private:
  friend class H2Stream;
  struct Callbacks;  // nghttp2's side, h2_session.cc
  // What a peer may do only so often in kFloodWindow.
  enum class Flood : uint8_t { resets, faults, pings, settings, empty_data, priority, count };

  void fail(Error error);
  void count(Flood flood);
  void submit(H2Stream& stream);
  void resume_data(H2Stream& stream);
  void take_input(H2Stream* stream, int32_t id, std::string_view piece);
  void deliver(H2Stream& stream);
  void write_scratch();

  net::Loop& loop_;
  net::Connection& connection_;
  Owner& owner_;
  const H2Limits limits_;
  nghttp2_session* session_ = nullptr;
  std::shared_ptr<H2Session*> self_;  // tasks of the loop see through it whether we live

  std::string scratch_;    // heads, frame headers and small pieces of this turn
  uint64_t produced_ = 0;  // bytes of output so far
  bool scheduled_ = false;
  bool flushing_ = false;
  bool failed_ = false;
  MonoTime header_since_;
  size_t held_ = 0;  // input of all streams that waits and was credited
  std::vector<H2Stream*> starting_;
  std::vector<H2Stream*> roomy_;
  struct Unsent {
    uint64_t end;  // in terms of produced_
    H2Stream* stream;
  };
  std::vector<Unsent> unsent_;
  MonoTime flood_since_;
  uint32_t floods_[static_cast<size_t>(Flood::count)] = {};
};

}  // namespace bw::http
