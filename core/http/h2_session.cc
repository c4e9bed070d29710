#include "core/http/h2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace bw::http {
namespace {

constexpr Duration kFloodWindow = std::chrono::seconds(10);
// In the order of Flood: what a peer of good will never reaches in ten seconds.
constexpr uint32_t kFloods[] = {400, 100, 200, 100, 400, 2000};
// Smaller pieces are copied next to their frame header: cheaper than a segment of their own.
constexpr size_t kCopied = 2 * 1024;
constexpr size_t kMaxHeaderBlock = 256 * 1024;

nghttp2_nv nv_of(const Field& field) {
  // nghttp2 doesn't write through these.
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(field.name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(field.value.data())), field.name.size(),
          field.value.size(), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

std::vector<nghttp2_nv>& nvs_of(const FieldList& fields) {
  thread_local std::vector<nghttp2_nv> list;
  list.clear();
  for (const Field field : fields) list.push_back(nv_of(field));
  return list;
}

std::string_view view(nghttp2_rcbuf* buffer) {
  const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

}  // namespace

struct H2Session::Callbacks {
  static H2Session& session_of(void* user) { return *static_cast<H2Session*>(user); }
  static H2Stream* stream_of(nghttp2_session* raw, int32_t id) {
    return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(raw, id));
  }

  static int on_begin_headers(nghttp2_session* raw, const nghttp2_frame* frame, void* user) {
    H2Session& session = session_of(user);
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    session.header_since_ = session.loop_.now();
    if (!session.limits_.server || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    H2Stream* stream = session.owner_.on_stream_begin();
    if (stream == nullptr) {
      return nghttp2_submit_rst_stream(raw, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                       NGHTTP2_REFUSED_STREAM);
    }
    stream->id_ = frame->hd.stream_id;
    stream->last_in_ = session.loop_.now();
    nghttp2_session_set_stream_user_data(raw, stream->id_, stream);
    return 0;
  }

  static int on_header(nghttp2_session* raw, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                       nghttp2_rcbuf* value, uint8_t, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    H2Stream* stream = stream_of(raw, frame->hd.stream_id);
    if (stream != nullptr) stream->on_field(view(name), view(value));
    return 0;
  }

  // Bytes that a field may not hold: the stream is malformed, not merely a field the less.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*,
                               nghttp2_rcbuf*, uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_frame_recv(nghttp2_session* raw, const nghttp2_frame* frame, void* user) {
    H2Session& session = session_of(user);
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS: {
        session.header_since_ = {};
        H2Stream* stream = stream_of(raw, frame->hd.stream_id);
        if (stream == nullptr) return 0;
        stream->last_in_ = session.loop_.now();
        stream->in_ended_ = stream->in_ended_ || ends;
        // Trailers come after pieces that may still wait: they are kept by the stream.
        stream->on_fields_end();
        if (ends && (stream = stream_of(raw, frame->hd.stream_id)) != nullptr) {
          session.deliver(*stream);
        }
        return 0;
      }
      case NGHTTP2_DATA: {
        if (frame->hd.length == 0 && !ends) session.count(Flood::empty_data);
        H2Stream* stream = stream_of(raw, frame->hd.stream_id);
        if (!ends || stream == nullptr) return 0;
        stream->in_ended_ = true;
        session.deliver(*stream);
        return 0;
      }
      case NGHTTP2_RST_STREAM:
        session.count(Flood::resets);
        return 0;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) session.count(Flood::pings);
        return 0;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) session.count(Flood::settings);
        session.owner_.on_settings();
        return 0;
      case NGHTTP2_PRIORITY:
        session.count(Flood::priority);
        return 0;
      case NGHTTP2_GOAWAY:
        session.owner_.on_goaway();
        return 0;
      default:
        return 0;
    }
  }

  static int on_data_chunk(nghttp2_session* raw, uint8_t, int32_t id, const uint8_t* data,
                           size_t length, void* user) {
    H2Session& session = session_of(user);
    session.take_input(stream_of(raw, id), id, {reinterpret_cast<const char*>(data), length});
    return 0;
  }

  // Resets that the peer's own faults make us send cost as much as those it sends.
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    session_of(user).count(Flood::faults);
    return 0;
  }

  static int on_stream_close(nghttp2_session* raw, int32_t id, uint32_t code, void* user) {
    H2Session& session = session_of(user);
    H2Stream* stream = stream_of(raw, id);
    if (stream == nullptr) return 0;
    nghttp2_session_set_stream_user_data(raw, id, nullptr);
    std::erase(session.roomy_, stream);
    stream->closed_ = true;
    stream->on_closed(code);
    return 0;
  }

  static int on_frame_send(nghttp2_session* raw, const nghttp2_frame* frame, void* user) {
    H2Session& session = session_of(user);
    const bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!carries || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    H2Stream* stream = stream_of(raw, frame->hd.stream_id);
    // For HEADERS the bytes come back from mem_send after this call: counted by then.
    if (stream != nullptr) session.unsent_.push_back({UINT64_MAX, stream});
    return 0;
  }

  static ssize_t read_body(nghttp2_session* raw, int32_t id, uint8_t*, size_t length,
                           uint32_t* flags, nghttp2_data_source* source, void*) {
    H2Stream& stream = *static_cast<H2Stream*>(source->ptr);
    const size_t take = std::min(length, stream.queued_);
    if (take == 0 && !stream.out_ended_) {
      stream.starved_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (take == stream.queued_ && stream.out_ended_) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!stream.trailers_.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        std::vector<nghttp2_nv>& list = nvs_of(stream.trailers_);
        if (nghttp2_submit_trailer(raw, id, list.data(), list.size()) != 0) {
          return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
      }
    }
    return static_cast<ssize_t>(take);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* header, size_t length,
                       nghttp2_data_source* source, void* user) {
    H2Session& session = session_of(user);
    H2Stream& stream = *static_cast<H2Stream*>(source->ptr);
    session.scratch_.append(reinterpret_cast<const char*>(header), 9);
    session.produced_ += 9 + length;
    stream.queued_ -= length;
    stream.bytes_out_ += length;
    stream.last_out_ = session.loop_.now();
    while (length > 0) {
      Slice& front = stream.queue_.front();
      const size_t take = std::min(length, front.size());
      if (take <= kCopied) {
        session.scratch_.append(front.data(), take);
      } else {
        session.write_scratch();
        session.connection_.write(front.part(0, take));
      }
      length -= take;
      front.remove_prefix(take);
      if (front.empty()) stream.queue_.pop_front();
    }
    if (stream.wants_room_ && stream.queued_ < H2Stream::kQueueLow) {
      stream.wants_room_ = false;
      session.roomy_.push_back(&stream);
    }
    return 0;
  }

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    BW_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return callbacks;
  }

  static nghttp2_option* make_options() {
    nghttp2_option* options = nullptr;
    BW_CHECK(nghttp2_option_new(&options) == 0);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_send_header_block_length(options, kMaxHeaderBlock);
    nghttp2_option_set_peer_max_concurrent_streams(options, 100);
    return options;
  }
};

H2Session::H2Session(net::Loop& loop, net::Connection& connection, Owner& owner,
                     const H2Limits& limits)
    : loop_(loop),
      connection_(connection),
      owner_(owner),
      limits_(limits),
      self_(std::make_shared<H2Session*>(this)),
      flood_since_(loop.now()) {
  // Immutable, shared by all sessions of the process.
  static nghttp2_session_callbacks* const kCallbacks = Callbacks::make();
  static nghttp2_option* const kOptions = Callbacks::make_options();
  const int made = limits_.server
                       ? nghttp2_session_server_new2(&session_, kCallbacks, this, kOptions)
                       : nghttp2_session_client_new2(&session_, kCallbacks, this, kOptions);
  BW_CHECK(made == 0);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(limits_.stream_window)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits_.max_header_list)},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  };
  // A server doesn't send ENABLE_PUSH.
  BW_CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, limits_.server ? 3 : 4) ==
           0);
  BW_CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                 limits_.connection_window) == 0);
  schedule();
}

H2Session::~H2Session() {
  *self_ = nullptr;
  nghttp2_session_del(session_);
}

// --- input

void H2Session::receive(std::string_view bytes) {
  if (failed_) return;
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (used < 0) {
    const bool flood = used == NGHTTP2_ERR_FLOODED;
    fail({.kind = flood ? Error::Kind::too_large : Error::Kind::malformed,
          .side = limits_.server ? Error::Side::client : Error::Side::upstream,
          .code = static_cast<int32_t>(used),
          .text = flood ? "HTTP/2 flood" : "malformed HTTP/2"});
    return;
  }
  if (!failed_ && nghttp2_session_want_read(session_) == 0 &&
      nghttp2_session_want_write(session_) == 0) {
    fail({.kind = Error::Kind::closed,
          .side = limits_.server ? Error::Side::client : Error::Side::upstream,
          .text = "the HTTP/2 session ended"});
    return;
  }
  schedule();
}

void H2Session::take_input(H2Stream* stream, int32_t id, std::string_view piece) {
  if (stream == nullptr) {
    nghttp2_session_consume(session_, id, piece.size());
    return;
  }
  stream->last_in_ = loop_.now();
  if (!stream->paused_ && stream->held_.empty()) {
    nghttp2_session_consume(session_, id, piece.size());
    stream->on_piece(piece);
    return;
  }
  stream->held_ += piece;
  if (held_ + piece.size() <= kHeldCredit) {
    held_ += piece.size();
    nghttp2_session_consume_connection(session_, piece.size());
  } else {
    stream->uncredited_ += piece.size();
  }
}

// What waits, then the end.
void H2Session::deliver(H2Stream& stream) {
  if (stream.delivering_) return;
  stream.delivering_ = true;
  const std::shared_ptr<H2Session*> self = self_;
  while (!stream.paused_ && !stream.held_.empty() && !stream.closed_) {
    const std::string piece = std::exchange(stream.held_, {});
    const size_t uncredited = std::exchange(stream.uncredited_, 0);
    held_ -= piece.size() - uncredited;
    nghttp2_session_consume_connection(session_, uncredited);
    nghttp2_session_consume_stream(session_, stream.id_, piece.size());
    stream.on_piece(piece);
    if (*self == nullptr) return;
  }
  stream.delivering_ = false;
  if (!stream.paused_ && stream.held_.empty() && stream.in_ended_ && !stream.in_end_told_) {
    stream.in_end_told_ = true;
    stream.on_stream_end();
  }
  if (*self != nullptr) schedule();
}

void H2Session::count(Flood flood) {
  if (loop_.now() - flood_since_ > kFloodWindow) {
    flood_since_ = loop_.now();
    std::fill(std::begin(floods_), std::end(floods_), 0u);
  }
  const auto which = static_cast<size_t>(flood);
  if (++floods_[which] != kFloods[which] || failed_) return;
  goaway(H2Code::enhance_your_calm);
  flush();
  fail({.kind = Error::Kind::too_large,
        .side = limits_.server ? Error::Side::client : Error::Side::upstream,
        .text = "too many HTTP/2 control frames"});
}

void H2Session::fail(Error error) {
  if (std::exchange(failed_, true)) return;
  owner_.on_failed(error);
}

// --- output

void H2Session::schedule() {
  if (scheduled_ || failed_) return;
  scheduled_ = true;
  loop_.at_turn_end([self = self_] {
    H2Session* session = *self;
    if (session == nullptr) return;
    session->scheduled_ = false;
    session->flush();
  });
}

void H2Session::start_response(H2Stream& stream) {
  starting_.push_back(&stream);
  schedule();
}

void H2Session::start_request(H2Stream& stream) {
  starting_.push_back(&stream);
  schedule();
}

void H2Session::submit(H2Stream& stream) {
  if (stream.closed_) return;
  std::vector<nghttp2_nv>& list = nvs_of(stream.out_head_);
  nghttp2_data_provider body{};
  body.source.ptr = &stream;
  body.read_callback = Callbacks::read_body;
  const bool has_body = stream.queued_ > 0 || !stream.out_ended_ || !stream.trailers_.empty();
  stream.last_out_ = loop_.now();
  if (limits_.server) {
    (void)nghttp2_submit_response(session_, stream.id_, list.data(), list.size(),
                                  has_body ? &body : nullptr);
    return;
  }
  const int32_t id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(),
                                            has_body ? &body : nullptr, &stream);
  if (id < 0) {
    stream.closed_ = true;
    stream.on_closed(NGHTTP2_REFUSED_STREAM);  // ids are used up: another connection
    return;
  }
  stream.id_ = id;
}

void H2Session::send_informational(H2Stream& stream, const FieldList& fields) {
  if (stream.closed_) return;
  // Not lent: the caller's list doesn't outlive the call.
  std::vector<nghttp2_nv>& list = nvs_of(fields);
  for (nghttp2_nv& one : list) one.flags = NGHTTP2_NV_FLAG_NONE;
  (void)nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, list.data(),
                               list.size(), nullptr);
  schedule();
}

void H2Session::reset(H2Stream& stream, H2Code code) {
  std::erase(starting_, &stream);
  if (stream.closed_ || stream.id_ == 0) return;
  (void)nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_,
                                  static_cast<uint32_t>(code));
  schedule();
}

void H2Session::goaway(H2Code code) {
  (void)nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(session_),
                              static_cast<uint32_t>(code), nullptr, 0);
  schedule();
}

void H2Session::forget(H2Stream& stream) {
  std::erase(starting_, &stream);
  std::erase(roomy_, &stream);
  std::erase_if(unsent_, [&](const Unsent& one) { return one.stream == &stream; });
  held_ -= stream.held_.size() - stream.uncredited_;
  if (!stream.held_.empty() && !stream.closed_) {
    nghttp2_session_consume_connection(session_, stream.uncredited_);
  }
  stream.held_.clear();
  stream.uncredited_ = 0;
  stream.queue_.clear();
  stream.queued_ = 0;
  if (!stream.closed_ && stream.id_ != 0) {
    // The data provider points at it: the stream must be reset before, in the same turn.
    nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
  }
  stream.session_ = nullptr;
}

void H2Session::resume_data(H2Stream& stream) {
  if (!stream.starved_ || stream.closed_) return;
  stream.starved_ = false;
  (void)nghttp2_session_resume_data(session_, stream.id_);
}

void H2Session::write_scratch() {
  if (scratch_.empty()) return;
  connection_.write_copy(scratch_);
  scratch_.clear();
}

void H2Session::flush() {
  if (flushing_) return;
  flushing_ = true;
  const std::shared_ptr<H2Session*> self = self_;
  for (const std::vector<H2Stream*> starting = std::exchange(starting_, {});
       H2Stream * stream : starting) {
    submit(*stream);
  }
  while (connection_.buffered() + scratch_.size() <= net::Connection::kHighWater) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) {
      flushing_ = false;
      fail({.kind = Error::Kind::internal, .side = Error::Side::self, .text = "HTTP/2 output"});
      return;
    }
    if (size == 0) break;
    scratch_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    produced_ += static_cast<uint64_t>(size);
  }
  write_scratch();
  for (Unsent& one : unsent_) one.end = std::min(one.end, produced_);
  flushing_ = false;
  // Producers may queue more inside; that leaves in another flush.
  for (const std::vector<H2Stream*> roomy = std::exchange(roomy_, {}); H2Stream * stream : roomy) {
    if (!stream->closed_ && stream->session_ == this) stream->on_room();
    if (*self == nullptr) return;
  }
}

void H2Session::on_progress() {
  const uint64_t taken = produced_ - scratch_.size() - connection_.buffered();
  const std::shared_ptr<H2Session*> self = self_;
  while (!unsent_.empty() && unsent_.front().end <= taken) {
    H2Stream* stream = unsent_.front().stream;
    unsent_.erase(unsent_.begin());
    stream->on_sent_whole();
    if (*self == nullptr) return;
  }
}

bool H2Session::finished() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

uint32_t H2Session::peer_max_streams() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

// --- streams

void H2Stream::queue_body(Slice piece) {
  if (piece.empty() || out_ended_ || session_ == nullptr) return;
  if (queued_ == 0) last_out_ = session_->loop().now();
  queued_ += piece.size();
  queue_.push_back(std::move(piece));
  if (queued_ >= kQueueHigh) wants_room_ = true;
  session_->resume_data(*this);
  session_->schedule();
}

void H2Stream::queue_end(const FieldList* trailers) {
  if (out_ended_ || session_ == nullptr) return;
  out_ended_ = true;
  if (trailers != nullptr) trailers_ = *trailers;
  session_->resume_data(*this);
  session_->schedule();
}

void H2Stream::resume_input() {
  if (!std::exchange(paused_, false) || session_ == nullptr) return;
  last_in_ = session_->loop().now();
  if (held_.empty() && !(in_ended_ && !in_end_told_)) return;
  // In a turn's later part: not inside the call that resumed.
  session_->loop().post([self = session_->self_, stream = id_, raw = this] {
    H2Session* session = *self;
    if (session == nullptr) return;
    auto* found =
        static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session->session_, stream));
    if (found == raw) session->deliver(*found);
  });
}

}  // namespace bw::http
