#include "purge/client/call.h"

#include <utility>

namespace bw::purge {

Call::Call(net::Loop& loop, http::ClientPool& pool, size_t max_answer, Done done)
    : loop_(loop),
      pool_(pool),
      max_answer_(max_answer),
      done_(std::move(done)),
      self_(std::make_shared<Call*>(this)) {}

Call::~Call() { *self_ = nullptr; }

void Call::start(std::shared_ptr<ServiceLink> link, Executor* executor, http::RequestHead head,
                 std::string body, Duration timeout) {
  const ServiceLink& service = *link;
  service.resolve(loop_, executor,
                  [self = self_, link = std::move(link), head = std::move(head),
                   body = std::move(body), timeout](Result<http::Target> target) mutable {
                    Call* call = *self;
                    if (call == nullptr) return;
                    if (!target.ok()) return call->end(target.error());
                    http::ClientDeadlines deadlines;
                    deadlines.first_byte = timeout;
                    deadlines.between_bytes = timeout;
                    deadlines.total = timeout;
                    const bool has_body = !body.empty();
                    if (has_body) {
                      head.has_body = true;
                      head.content_length = body.size();
                    }
                    call->stream_ = call->pool_.fetch(*target, head, has_body, deadlines, *call);
                    if (!has_body) return;
                    call->stream_->send_body(Slice::copy_of(body));
                    call->stream_->finish();
                  });
}

void Call::on_head(const http::ResponseHead& head) { answer_.status = head.status; }

void Call::on_body(std::string_view piece) {
  if (done_ && answer_.body.size() + piece.size() > max_answer_) {
    end(Error{.kind = Error::Kind::too_large,
              .side = Error::Side::upstream,
              .text = "the service's answer is too large"});
    return;
  }
  answer_.body += piece;
}

void Call::on_end(const http::FieldList&, bool) { end(std::move(answer_)); }

void Call::on_error(Error error) { end(error); }

void Call::end(Result<Answer> result) {
  if (!done_) return;
  loop_.retire(std::move(stream_));
  Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace bw::purge
