#include "edge/proxy/delivery.h"

#include <algorithm>
#include <utility>

namespace bw::edge {
namespace {

constexpr size_t kRead = 256 * 1024;

}  // namespace

Delivery::Delivery(net::Loop& loop, http::ServerStream& stream, DeliveryEvents& events)
    : loop_(loop), stream_(stream), events_(events) {}

Delivery::~Delivery() {
  if (self_ != nullptr) *self_ = nullptr;
}

void Delivery::from_object(Ref<Object> object, uint64_t offset, uint64_t length, Slice first) {
  busy_since_.reset();
  object_ = std::move(object);
  offset_ = offset;
  left_ = length;
  if (object_->in_memory()) {
    source_ = Source::memory;
    slices_ = object_->slices(offset, length);
    next_slice_ = 0;
  } else {
    source_ = Source::disk;
    if (!first.empty()) send(std::move(first));
  }
  pump();
}

void Delivery::from_fill(FillReader& reader, const Part& part) {
  source_ = Source::fill;
  reader_ = &reader;
  offset_ = part.offset;
  left_ = part.whole ? UINT64_MAX : part.length;
  pump();
}

void Delivery::resume_from(Ref<Object> object) {
  const uint64_t size = object->size();
  if (offset_ > size) {
    abort({.kind = Error::Kind::corrupt, .side = Error::Side::storage, .text = "a shorter copy"});
    return;
  }
  from_object(std::move(object), offset_, std::min(left_, size - offset_));
}

void Delivery::pump() {
  if (done_) return;
  switch (source_) {
    case Source::none:
      return;
    case Source::memory:
      return pump_memory();
    case Source::disk:
      return pump_disk();
    case Source::fill:
      return pump_fill();
  }
}

void Delivery::pump_memory() {
  while (next_slice_ < slices_.size() && stream_.wants_more()) {
    send(std::move(slices_[next_slice_++]));
  }
  if (next_slice_ == slices_.size()) finish(nullptr);
}

void Delivery::pump_disk() {
  if (left_ == 0) {
    finish(nullptr);
  } else if (!reading_ && stream_.wants_more()) {
    read_on();
  }
}

void Delivery::read_on() {
  if (self_ == nullptr) self_ = std::make_shared<Delivery*>(this);
  reading_ = true;
  const size_t length = static_cast<size_t>(std::min<uint64_t>(left_, kRead));
  // The object is held by the callback: its source must outlive the read.
  object_->source()->read(
      offset_, length,
      [loop = &loop_, self = self_, object = object_](Result<Slice> piece) mutable {
        loop->post([self = std::move(self), object = std::move(object),
                    piece = std::move(piece)]() mutable {
          if (*self != nullptr) (*self)->on_read(std::move(piece));
        });
      });
}

void Delivery::on_read(Result<Slice> piece) {
  if (done_) return;
  if (!piece.ok()) return no_rest(piece.error());
  reading_ = false;
  busy_since_.reset();
  send(std::move(*piece));
  pump();
}

void Delivery::no_rest(const Error& error) {
  const MonoTime now = loop_.now();
  if (!busy_since_) busy_since_ = now;
  if (error.kind != Error::Kind::busy || now - *busy_since_ >= kPatience) return abort(error);
  if (again_ == nullptr) {
    again_ = std::make_unique<net::Timer>(
        loop_, [this] { source_ == Source::disk ? read_on() : events_.on_overrun(); });
  }
  again_->arm(kAskAgain);
}

void Delivery::stop() {
  done_ = true;
  again_.reset();
}

void Delivery::pump_fill() {
  while (stream_.wants_more() && left_ > 0) {
    Slice piece = reader_->read();
    if (piece.empty()) break;
    const uint64_t piece_end = reader_->position();
    if (piece_end <= offset_) continue;  // before the part that was asked for
    const uint64_t piece_begin = piece_end - piece.size();
    if (piece_begin < offset_) piece.remove_prefix(static_cast<size_t>(offset_ - piece_begin));
    if (piece.size() > left_) piece = piece.part(0, static_cast<size_t>(left_));
    send(std::move(piece));
  }
  if (left_ == 0) {
    finish(nullptr);
    return;
  }
  const FillState state = reader_->fill().state();
  if (state == FillState::failed) {
    abort(reader_->fill().failure().error);
  } else if (state == FillState::complete && reader_->at_end()) {
    const std::shared_ptr<const http::FieldList> trailers = reader_->fill().trailers();
    finish(trailers == nullptr || trailers->empty() ? nullptr : trailers.get());
  } else if (reader_->overrun() &&
             (state == FillState::complete || !reader_->fill().keeps_on_disk())) {
    source_ = Source::none;
    events_.on_overrun();
  }
}

void Delivery::send(Slice piece) {
  offset_ += piece.size();
  sent_ += piece.size();
  if (left_ != UINT64_MAX) left_ -= piece.size();
  stream_.send_body(std::move(piece));
}

void Delivery::finish(const http::FieldList* trailers) {
  done_ = true;
  stream_.finish(trailers);
  events_.on_delivered(std::nullopt);
}

void Delivery::abort(Error error) {
  done_ = true;
  stream_.abort(error);
  events_.on_delivered(error);
}

}  // namespace bw::edge
