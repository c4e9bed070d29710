#include "core/http/h2_stream.h"

#include "core/http/h2_session.h"

namespace bw::http {

void H2Stream::begin(H2Session& session) {
  session_ = &session;
  id_ = 0;
  out_head_.clear();
  last_in_ = last_out_ = session.loop().now();
  bytes_out_ = 0;
  closed_ = reset_ = out_made_ = false;
  queue_.clear();
  queue_first_ = queued_ = 0;
  trailers_.clear();
  out_ended_ = body_held_ = starved_ = wants_room_ = false;
  starting_ = delivering_ = roomy_ = false;
  held_.clear();
  held_uncredited_ = 0;
  paused_ = discarding_ = in_ended_ = in_end_told_ = close_waits_ = false;
}

void H2Stream::queue_body(Slice piece) {
  if (piece.empty() || out_ended_ || closed_ || reset_) return;
  if (queued_ == 0) last_out_ = session_->loop().now();
  queued_ += piece.size();
  queue_.push_back(std::move(piece));
  if (!queue_wants_more()) wants_room_ = true;
  session_->resume_data(*this);
}

void H2Stream::queue_end(const FieldList* trailers) {
  if (out_ended_ || closed_ || reset_) return;
  out_ended_ = true;
  if (queued_ == 0) last_out_ = session_->loop().now();
  if (trailers != nullptr) {
    for (Field field : *trailers) {
      if (is_connection_field(field.id) || !may_be_trailer(field.id)) continue;
      if (is_field_name(field.name) && is_field_value(field.value)) {
        trailers_.add(field.name, field.value);
      }
    }
  }
  session_->resume_data(*this);
}

void H2Stream::release_body() {
  if (!body_held_) return;
  body_held_ = false;
  session_->resume_data(*this);
}

void H2Stream::resume_input() {
  if (!paused_) return;
  paused_ = false;
  last_in_ = session_->loop().now();
  session_->queue_delivery(*this);
}

void H2Stream::discard_input() {
  if (discarding_) return;
  discarding_ = true;
  paused_ = false;
  session_->release_held(*this);
  session_->queue_delivery(*this);
}

void H2Stream::drop_all() {
  queue_.clear();
  queue_first_ = queued_ = 0;
  wants_room_ = false;
  session_->release_held(*this);
}

}  // namespace bw::http
