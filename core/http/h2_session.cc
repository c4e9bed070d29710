#include "core/http/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/http/h2_callbacks.h"

namespace bw::http {
namespace {

constexpr Duration kFloodWindow = std::chrono::seconds(10);
// In the order of Flood: far beyond what clients do, far below what hurts.
constexpr uint32_t kFloodLimits[] = {400, 100, 200, 50, 1000, 2000};
// Making frames and asking for more, within one turn.
constexpr int kRounds = 32;

}  // namespace

H2Session::H2Session(net::Loop& loop, net::Connection& connection, Owner& owner,
                     const H2Limits& limits)
    : loop_(loop),
      connection_(connection),
      owner_(owner),
      limits_(limits),
      session_(make_nghttp2_session(*this, limits.server)),
      self_(std::make_shared<H2Session*>(this)),
      flood_since_(loop.now()) {
  BW_CHECK(session_ != nullptr);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(limits.stream_window)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits.max_header_list)},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.server ? limits.max_streams : 0},
      // RFC 9218 instead of the tree of priorities; a client says that it takes no pushes.
      {limits.server ? NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES : NGHTTP2_SETTINGS_ENABLE_PUSH,
       limits.server ? 1u : 0u},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, limits.connection_window);
  schedule();
}

H2Session::~H2Session() {
  *self_ = nullptr;
  nghttp2_session_del(session_);
}

void H2Session::receive(std::string_view bytes) {
  if (quit_) return;
  const ssize_t n = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (quit_) return;
  if (n < 0) {
    const bool calm = flooded_ || n == NGHTTP2_ERR_FLOODED;
    nghttp2_session_terminate_session(session_,
                                      calm ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    fail({.kind = calm ? Error::Kind::too_large : Error::Kind::malformed,
          .side = limits_.server ? Error::Side::client : Error::Side::upstream,
          .code = static_cast<int32_t>(n),
          .text = calm ? "flood of HTTP/2 frames" : "not HTTP/2"});
    return;
  }
  schedule();
}

void H2Session::fail(Error error) {
  if (quit_) return;
  flush_last();
  quit_ = true;
  owner_.on_failed(error);
}

bool H2Session::count(Flood flood) {
  const MonoTime now = loop_.now();
  if (now - flood_since_ > kFloodWindow) {
    flood_since_ = now;
    std::fill(std::begin(floods_), std::end(floods_), 0u);
  }
  const auto i = static_cast<size_t>(flood);
  if (++floods_[i] > kFloodLimits[i]) flooded_ = true;
  return !flooded_;
}

// --- output

void H2Session::schedule() {
  if (scheduled_ || quit_) return;
  scheduled_ = true;
  loop_.at_turn_end([self = self_] {
    if (*self != nullptr) (*self)->flush();
  });
}

bool H2Session::full() const {
  return connection_.buffered() + scratch_.size() > net::Connection::kHighWater;
}

void H2Session::flush() {
  for (int round = 0; round < kRounds && !quit_; ++round) {
    while (!delivering_.empty() && !quit_) {
      const std::vector<H2Stream*> batch = std::exchange(delivering_, {});
      for (H2Stream* stream : batch) {
        if (stream->delivering_ && !quit_) deliver(*stream);
      }
    }
    if (quit_) return;
    const std::vector<H2Stream*> starting = std::exchange(starting_, {});
    for (H2Stream* stream : starting) {
      stream->starting_ = false;
      submit(*stream);
    }
    const bool progressed = pump();
    const std::vector<H2Stream*> roomy = std::exchange(roomy_, {});
    for (H2Stream* stream : roomy) {
      if (quit_) return;
      if (!std::exchange(stream->roomy_, false)) continue;
      if (!stream->closed_ && !stream->reset_) stream->on_room();
    }
    if (!progressed && starting_.empty() && delivering_.empty() && roomy.empty()) break;
    if (full()) break;
  }
  scheduled_ = false;
  if (quit_) return;
  // Rounds were used up, or the connection is full: then on_drained() goes on.
  if (!starting_.empty() || !delivering_.empty()) {
    scheduled_ = true;
    loop_.post([self = self_] {
      if (*self != nullptr) (*self)->flush();
    });
  }
  owner_.on_flushed();
}

bool H2Session::pump() {
  const uint64_t before = written_;
  while (!full() && !quit_) {
    const uint8_t* bytes = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &bytes);
    if (n < 0 && !quit_) {
      write_scratch();
      quit_ = true;
      owner_.on_failed({.kind = flooded_ ? Error::Kind::too_large : Error::Kind::internal,
                        .side = limits_.server ? Error::Side::client : Error::Side::upstream,
                        .code = static_cast<int32_t>(n),
                        .text = "HTTP/2 output failed"});
      return false;
    }
    if (n <= 0) break;
    scratch_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
  }
  if (quit_) return false;
  write_scratch();
  return written_ != before;
}

void H2Session::flush_last() {
  const uint8_t* bytes = nullptr;
  while (scratch_.size() < net::Connection::kHighWater) {
    const ssize_t n = nghttp2_session_mem_send(session_, &bytes);
    if (n <= 0) break;
    scratch_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
  }
  write_scratch();
}

void H2Session::write_scratch() {
  if (scratch_.empty()) return;
  written_ += scratch_.size();
  connection_.write_copy(scratch_);
  scratch_.clear();
}

void H2Session::start(H2Stream& stream) {
  if (stream.starting_ || stream.closed_ || stream.reset_) return;
  stream.starting_ = true;
  starting_.push_back(&stream);
  schedule();
}

void H2Session::submit(H2Stream& stream) {
  if (stream.closed_ || stream.reset_) return;
  const bool with_body =
      stream.queued_ > 0 || !stream.out_ended_ || !stream.trailers_.empty() || stream.body_held_;
  if (submit_head(session_, *this, stream, limits_.server, with_body)) return;
  if (stream.id_ == 0) {
    on_closed(stream, NGHTTP2_REFUSED_STREAM);
  } else {
    reset(stream, H2Code::internal_error);
  }
}

void H2Session::resume_data(H2Stream& stream) {
  if (!stream.starved_ || quit_) return;
  stream.starved_ = false;
  nghttp2_session_resume_data(session_, stream.id_);
  schedule();
}

void H2Session::on_consumed(H2Stream& stream) {
  stream.last_out_ = loop_.now();
  stream.on_output();
  if (!stream.wants_room_ || stream.queued_ > H2Stream::kQueueLow || stream.out_ended_) return;
  stream.wants_room_ = false;
  stream.roomy_ = true;
  roomy_.push_back(&stream);
}

void H2Session::tell_sent() {
  if (quit_) return;
  const uint64_t waits = connection_.buffered();
  taken_ = std::max(taken_, written_ - std::min(written_, waits));
  size_t told = 0;
  while (told < unsent_.size() && unsent_[told].offset <= taken_ && !quit_) {
    unsent_[told++].stream->on_sent_whole();
  }
  if (told > 0) unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(told));
}

void H2Session::reset(H2Stream& stream, H2Code code) {
  if (stream.closed_ || stream.reset_ || quit_) return;
  stream.reset_ = true;
  stream.drop_all();
  if (stream.id_ == 0) {
    on_closed(stream, static_cast<uint32_t>(code));
    return;
  }
  leave_lists(stream);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, static_cast<uint32_t>(code));
  schedule();
}

void H2Session::goaway(H2Code code, bool soft) {
  if (quit_) return;
  if (soft) {
    nghttp2_submit_shutdown_notice(session_);
  } else {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_),
                          static_cast<uint32_t>(code), nullptr, 0);
  }
  schedule();
}

void H2Session::ping() {
  if (quit_) return;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  schedule();
}

bool H2Session::finished() const {
  return quit_ || (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_));
}

uint32_t H2Session::peer_max_streams() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool H2Session::may_open_stream() const {
  return !quit_ && nghttp2_session_check_request_allowed(session_) != 0;
}

// --- input

void H2Session::take_input(H2Stream& stream, std::string_view piece) {
  stream.last_in_ = loop_.now();
  if (!stream.discarding_ && !stream.reset_ &&
      (stream.paused_ || stream.delivering_ || !stream.held_.empty())) {
    stream.held_.append(piece);
    if (held_ + piece.size() <= kHeldCredit) {
      held_ += piece.size();
      nghttp2_session_consume_connection(session_, piece.size());
    } else {
      stream.held_uncredited_ += piece.size();
    }
    return;
  }
  const int32_t id = stream.id_;
  if (!stream.discarding_ && !stream.reset_) stream.on_piece(piece);
  nghttp2_session_consume(session_, id, piece.size());
}

void H2Session::end_input(H2Stream& stream) {
  stream.in_ended_ = true;
  if (stream.paused_ || stream.delivering_ || !stream.held_.empty() || stream.reset_) return;
  stream.in_end_told_ = true;
  stream.on_stream_end();
}

void H2Session::queue_delivery(H2Stream& stream) {
  if (stream.delivering_ || stream.reset_ || quit_) return;
  stream.delivering_ = true;
  delivering_.push_back(&stream);
  schedule();
}

// Gives back the windows of what waits, and drops it.
void H2Session::release_held(H2Stream& stream) {
  const size_t size = stream.held_.size();
  if (size == 0) return;
  stream.held_.clear();
  held_ -= size - stream.held_uncredited_;
  const size_t uncredited = std::exchange(stream.held_uncredited_, 0);
  if (quit_) return;
  if (uncredited > 0) nghttp2_session_consume_connection(session_, uncredited);
  if (!stream.closed_) nghttp2_session_consume_stream(session_, stream.id_, size);
}

void H2Session::deliver(H2Stream& stream) {
  stream.delivering_ = false;
  if (stream.paused_ || stream.reset_) return;
  stream.on_resumed();
  while (!stream.paused_ && !stream.held_.empty() && !quit_) {
    const std::string piece = stream.held_;
    release_held(stream);
    stream.on_piece(piece);
  }
  if (quit_ || stream.paused_ || stream.reset_) return;
  if (stream.in_ended_ && !stream.in_end_told_) {
    stream.in_end_told_ = true;
    stream.on_stream_end();
  }
  if (!quit_ && std::exchange(stream.close_waits_, false)) stream.on_closed(0);
}

void H2Session::leave_lists(H2Stream& stream) {
  if (std::exchange(stream.starting_, false)) std::erase(starting_, &stream);
  if (std::exchange(stream.delivering_, false)) std::erase(delivering_, &stream);
  if (std::exchange(stream.roomy_, false)) std::erase(roomy_, &stream);
}

void H2Session::on_closed(H2Stream& stream, uint32_t code) {
  if (stream.closed_) return;
  stream.closed_ = true;
  if (header_stream_ == &stream) header_stream_ = nullptr;
  const bool end_waits = code == 0 && stream.in_ended_ && !stream.in_end_told_ && !stream.reset_;
  if (end_waits) {
    stream.close_waits_ = true;
    return;
  }
  leave_lists(stream);
  stream.drop_all();
  stream.on_closed(code);
}

}  // namespace bw::http
