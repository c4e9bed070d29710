#include "origin/object_stream.h"

#include <string>
#include <utility>

#include "core/http/dates.h"

namespace bw::origin {

using http::FieldId;

void ObjectStream::start_after(Duration delay) {
  if (!timer_) {
    timer_.emplace(loop_, [this] {
      if (stream_ != nullptr) start();
    });
  }
  timer_->arm(delay);
}

void ObjectStream::send_whole(int status, const http::FieldList& fields, std::string_view body) {
  http::ResponseHead head;
  head.status = status;
  head.fields = fields;
  head.content_length = body.size();
  stream_->send_head(head);
  stream_->send_body(Slice::copy_of(body));
  end();
}

void ObjectStream::send_plain_head(int status, http::FieldList fields, uint64_t size) {
  http::ResponseHead head;
  head.status = status;
  head.fields = std::move(fields);
  head.content_length = size;
  if (http::response_has_body(stream_->request().method, status)) left_ = size;
  stream_->send_head(head);
}

void ObjectStream::send_object_head(http::FieldList fields, const Validators& validators,
                                    uint64_t size, bool with_length) {
  const http::RequestHead& request = stream_->request();
  const int64_t now = loop_.wall().seconds();
  http::ResponseHead head;
  head.fields = std::move(fields);
  head.fields.add(FieldId::etag, validators.etag);
  if (validators.last_modified) {
    head.fields.add(FieldId::last_modified, http::format_date(*validators.last_modified));
  }
  const Precondition verdict = judge(request, &validators, now);
  if (verdict != Precondition::go) {
    head.status = verdict == Precondition::not_modified ? 304 : 412;
    if (head.status == 412) head.content_length = 0;
    stream_->send_head(head);
    return;
  }
  head.fields.add(FieldId::accept_ranges, "bytes");
  const Part part = choose_part(request, validators, size, now);
  head.status = 200;
  if (part.kind == Part::Kind::unsatisfiable) {
    head.status = 416;
    head.content_length = 0;
    head.fields.add(FieldId::content_range, "bytes */" + std::to_string(size));
    stream_->send_head(head);
    return;
  }
  if (part.kind == Part::Kind::part) {
    head.status = 206;
    head.fields.add(FieldId::content_range, "bytes " + std::to_string(part.offset) + "-" +
                                                std::to_string(part.offset + part.length - 1) +
                                                "/" + std::to_string(size));
  }
  offset_ = part.offset;
  if (request.method != "HEAD") left_ = part.length;
  if (with_length) head.content_length = part.length;
  stream_->send_head(head);
}

void ObjectStream::send_piece(Slice piece) {
  offset_ += piece.size();
  left_ -= piece.size();
  given_ += piece.size();
  stream_->send_body(std::move(piece));
}

void ObjectStream::end() { std::exchange(stream_, nullptr)->finish(); }

void ObjectStream::break_off() {
  std::exchange(stream_, nullptr)
      ->abort(Error{.kind = Error::Kind::cancelled, .text = "response broken off"});
  leave();
}

void ObjectStream::leave() {
  stream_ = nullptr;
  if (timer_) timer_->cancel();
  on_left();
}

}  // namespace bw::origin
