#include "edge/proxy/exchange.h"

#include <algorithm>
#include <utility>

namespace bw::edge {
namespace {

// Whether an error says that the object is lost; a disk that is busy only has no time.
bool is_damage(const Error& error) {
  return error.side == Error::Side::storage && error.kind != Error::Kind::busy;
}

}  // namespace

// --- deliver

void Exchange::deliver_object(Ref<Object> object, CacheStatus status, bool stale, Position proof) {
  const ObjectMeta& meta = object->meta();
  if (record_.served_by == ServedBy::none) {
    record_.served_by = object->in_memory() ? ServedBy::memory : ServedBy::disk;
  }
  const Part part = choose_part(*request_, meta.status, meta.validators, object->size());
  found_.object = std::move(object);
  thread_local std::string cache_status;
  cache_status.clear();
  append_cache_status_member(cache_status, status);
  AnswerFacts facts = answer_facts(cache_status);
  facts.size = found_.object->size();
  facts.age = age_to_send_s(meta.freshness, worker_.loop().wall());
  if (send_prepared(part, facts)) return;
  http::ResponseHead head = make_answer(meta.fields, part, facts);
  say_position(head, proof, stale);
  add_last_fields(head);
  if (part.body && part.length > 0 && !found_.object->in_memory()) {
    read_first_piece(part, std::move(head));
  } else {
    send_object(part, head, {});
  }
}

// The whole of an object in memory, for a client: its head goes as it was prepared.
bool Exchange::send_prepared(const Part& part, const AnswerFacts& facts) {
  const Object& object = *found_.object;
  const ObjectMeta& meta = object.meta();
  if (!object.in_memory() || !part.whole || part.status != meta.status) return false;
  MoreFields more;
  if (!more.fill(meta.fields, facts)) return false;
  http::FieldList limits;
  for (const LimitSeen& seen : admission_.limits) {
    add_limit_fields(limits, *seen.rule, seen.decision);
  }
  for (const http::Field field : limits) {
    if (meta.fields.find(field.name) || !more.add(field)) return false;
  }
  record_.status = meta.status;
  answered_ = true;
  stream_.send_prepared(object.head(), more.fields());
  send_stored_body(part, {});
  return true;
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
        if (is_damage(first.error())) exchange.worker_.store().erase(*object);
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
  send_stored_body(part, std::move(first));
}

void Exchange::send_stored_body(const Part& part, Slice first) {
  const Object& object = *found_.object;
  const std::vector<Slice>& body = object.body();
  if (!part.body || part.length == 0) {
    over_ = true;
    stream_.finish();
  } else if (object.in_memory() && body.size() == 1 && stream_.wants_more()) {
    // One piece is within any stream's bounds, and needs nobody who waits for room.
    const uint64_t offset = part.whole ? 0 : part.offset;
    over_ = true;
    record_.bytes_out = part.length;
    stream_.send_body(
        body.front().part(static_cast<size_t>(offset), static_cast<size_t>(part.length)));
    stream_.finish();
  } else {
    delivery_ = std::make_unique<Delivery>(worker_.loop(), stream_, *this);
    delivery_->from_object(found_.object, part.offset, part.length, std::move(first));
  }
}

void Exchange::on_delivered(std::optional<Error> error) {
  over_ = true;
  record_.bytes_out = delivery_->sent();
  if (error && is_damage(*error) && found_.object) {
    worker_.store().erase(*found_.object);
  }
  reader_.reset();
  // A stream that was aborted tells nothing more.
  if (error) finish();
}

void Exchange::on_overrun() {
  Store& store = worker_.store();
  if (reader_ != nullptr) {
    if (reader_->fill().keeps_on_disk() && store.has_disk()) {
      rest_of_ = reader_->fill().plan().generation;
    }
    reader_.reset();
  }
  if (rest_of_ == 0) {
    guarded([](Exchange& exchange, Found found) { exchange.on_rest(std::move(found)); })(Found{});
    return;
  }
  // Behind the write of the object itself.
  store.disk()->flush([done = guarded([](Exchange& exchange, int) {
                         if (exchange.over_) return;
                         exchange.worker_.store().find_on_disk(
                             exchange.lookup(), exchange.admission_.route->policy,
                             exchange.guarded([](Exchange& later, Found found) {
                               later.on_rest(std::move(found));
                             }));
                       })]() mutable { done(0); });
}

void Exchange::on_rest(Found found) {
  if (over_) return;
  if (found.object && found.object->meta().generation == rest_of_) {
    found_.object = found.object;
    delivery_->resume_from(std::move(found.object));
    return;
  }
  Error error{.kind = Error::Kind::not_found,
              .side = Error::Side::self,
              .text = "the rest of a slow reader's object is not stored"};
  if (found.reason == Reason::disk_busy) error.kind = Error::Kind::busy;
  delivery_->no_rest(error);
}

}  // namespace bw::edge
