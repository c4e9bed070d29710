#include "edge/proxy/exchange.h"

#include <algorithm>
#include <utility>

namespace bw::edge {

// --- deliver

void Exchange::deliver_object(Ref<Object> object, CacheStatus status, bool stale, Position proof) {
  const ObjectMeta& meta = object->meta();
  if (record_.served_by == ServedBy::none) {
    record_.served_by = object->in_memory() ? ServedBy::memory : ServedBy::disk;
  }
  Part part = choose_part(*request_, meta.status, meta.validators, object->size());
  const std::string cache_status = cache_status_member(status);
  AnswerFacts facts = answer_facts(cache_status);
  facts.size = object->size();
  facts.age = age_to_send_s(meta.freshness, worker_.loop().wall());
  http::ResponseHead head = make_answer(meta.fields, part, facts);
  say_position(head, proof, stale);
  add_last_fields(head);
  found_.object = std::move(object);
  if (part.body && part.length > 0 && !found_.object->in_memory()) {
    read_first_piece(part, std::move(head));
  } else {
    send_object(part, head, {});
  }
}

// A body whose checksum fails is noticed before the head is sent, and fetched instead.
void Exchange::read_first_piece(Part part, http::ResponseHead head) {
  const Ref<Object> object = found_.object;
  const auto length = static_cast<size_t>(std::min<uint64_t>(part.length, 256 * 1024));
  object->source()->read(
      part.offset, length,
      guarded([part, head = std::move(head), object](Exchange& exchange, Result<Slice> first) {
        if (exchange.over_) return;
        if (first.ok()) {
          exchange.send_object(part, head, std::move(*first));
          return;
        }
        exchange.worker_.store().erase(*object);
        exchange.found_.object = {};
        exchange.found_.verdict = Found::Verdict::miss;
        exchange.reason_ = Reason::absent;
        exchange.record_.served_by = ServedBy::none;
        exchange.forget_stored_ = true;
        exchange.fetch();
      }));
}

void Exchange::send_object(const Part& part, const http::ResponseHead& head, Slice first) {
  answered_ = true;
  stream_.send_head(head);
  if (!part.body || part.length == 0) {
    over_ = true;
    stream_.finish();
    return;
  }
  delivery_ = std::make_unique<Delivery>(worker_.loop(), stream_, *this);
  delivery_->from_object(found_.object, part.offset, part.length, std::move(first));
}

void Exchange::on_delivered(std::optional<Error> error) {
  over_ = true;
  record_.bytes_out = delivery_->sent();
  if (error && error->side == Error::Side::storage && found_.object) {
    worker_.store().erase(*found_.object);
  }
  reader_.reset();
  // A stream that was aborted tells nothing more.
  if (error) finish();
}

void Exchange::on_overrun(uint64_t) {
  Store& store = worker_.store();
  const uint64_t generation = reader_->fill().plan().generation;
  const bool on_disk = reader_->fill().keeps_on_disk() && store.has_disk();
  reader_.reset();
  const auto go_on = [generation](Exchange& exchange, Found found) {
    if (exchange.over_) return;
    if (found.object && found.object->meta().generation == generation) {
      exchange.found_.object = found.object;
      exchange.delivery_->resume_from(found.object);
      return;
    }
    const Error error{.kind = Error::Kind::not_found,
                      .side = Error::Side::self,
                      .text = "the rest of a slow reader's object is not stored"};
    exchange.over_ = true;
    exchange.record_.bytes_out = exchange.delivery_->sent();
    exchange.stream_.abort(error);
    exchange.finish();
  };
  if (!on_disk) {
    guarded(go_on)(Found{});
    return;
  }
  // Behind the write of the object itself.
  store.disk()->flush([done = guarded([go_on](Exchange& exchange, int) {
                         if (exchange.over_) return;
                         exchange.worker_.store().find_on_disk(exchange.lookup(),
                                                               exchange.admission_.route->policy,
                                                               exchange.guarded(go_on));
                       })]() mutable { done(0); });
}

}  // namespace bw::edge
