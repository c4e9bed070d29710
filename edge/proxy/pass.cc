#include "edge/proxy/pass.h"

#include <utility>

namespace bw::edge {

Pass::Pass(Worker& worker, http::ServerStream& stream, TierRequest request, uint64_t max_body,
           PassEvents& events)
    : stream_(stream),
      events_(events),
      fetch_(worker, request, *this),
      has_body_(request.has_body),
      max_body_(max_body) {}

void Pass::start() {
  if (has_body_) stream_.pause_body();  // until the upstream takes some
  fetch_.start();
  if (has_body_ && fetch_.wants_more()) stream_.resume_body();
}

void Pass::on_body(std::string_view piece) {
  if (over_ || !has_body_) return;
  received_ += piece.size();
  if (received_ > max_body_) {
    const Error error{.kind = Error::Kind::too_large,
                      .side = Error::Side::client,
                      .text = "the request body is larger than max_body_size"};
    over_ = true;
    if (!head_sent_) {
      events_.on_pass_failed(error);
    } else {
      stream_.abort(error);
      events_.on_passed(error);
    }
    return;
  }
  if (!fetch_.can_send() || !held_.empty()) {
    held_.push_back(Slice::copy_of(piece));
    stream_.pause_body();
    return;
  }
  fetch_.send_body(Slice::copy_of(piece));
  if (!fetch_.wants_more()) stream_.pause_body();
}

void Pass::on_body_end(const http::FieldList& trailers) {
  if (over_ || !has_body_ || body_done_) return;
  body_done_ = true;
  if (!fetch_.can_send() || !held_.empty()) {
    at_end_ = trailers;
    return;
  }
  fetch_.finish_body(trailers.empty() ? nullptr : &trailers);
}

void Pass::give_held() {
  if (!fetch_.can_send()) return;
  for (Slice& piece : std::exchange(held_, {})) fetch_.send_body(std::move(piece));
  if (!at_end_) return;
  const http::FieldList trailers = std::move(*at_end_);
  at_end_.reset();
  fetch_.finish_body(trailers.empty() ? nullptr : &trailers);
}

void Pass::on_writable() {
  if (!over_) fetch_.resume();
}

void Pass::on_fetch_informational(const http::ResponseHead& head) {
  if (over_ || head_sent_) return;
  if (head.status == 100) {
    stream_.send_informational(100, {});
    return;
  }
  http::FieldList fields = head.fields;
  http::remove_hop_by_hop(fields);
  stream_.send_informational(head.status, fields);
}

void Pass::on_fetch_head(const http::ResponseHead& head) {
  head_sent_ = true;
  if (!events_.on_pass_head(head)) over_ = true;
}

void Pass::on_fetch_body(std::string_view piece) {
  if (over_) return;
  sent_ += piece.size();
  stream_.send_body(Slice::copy_of(piece));
  if (!stream_.wants_more()) fetch_.pause();
}

void Pass::on_fetch_end(const http::FieldList& trailers, bool) {
  if (over_) return;
  over_ = true;
  stream_.finish(trailers.empty() ? nullptr : &trailers);
  events_.on_passed(std::nullopt);
}

void Pass::on_fetch_error(Error error) {
  if (over_) return;
  over_ = true;
  if (!head_sent_) {
    events_.on_pass_failed(error);
    return;
  }
  stream_.abort(error);
  events_.on_passed(error);
}

void Pass::on_fetch_writable() {
  if (over_ || !has_body_) return;
  give_held();
  if (!body_done_) stream_.resume_body();
}

}  // namespace bw::edge
