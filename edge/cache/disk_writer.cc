#include "edge/cache/disk_writer.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>

namespace bw::edge {
namespace {

constexpr size_t kMaxSmallOrders = 65'536;
constexpr size_t kMaxRaises = kMaxSmallOrders / 2;  // they leave room for what must go
constexpr Duration kMaxRetry = std::chrono::seconds(60);

Error error(Error::Kind kind, std::string_view text) {
  return Error{.kind = kind, .side = Error::Side::storage, .text = text};
}

bool is_small(const DiskWriter::Order& order) {
  return order.kind == DiskWriter::Order::Kind::raise ||
         order.kind == DiskWriter::Order::Kind::erase;
}

}  // namespace

DiskWriter::DiskWriter(DiskShared& shared, std::unique_ptr<DiskFolder> folder)
    : shared_(shared), folder_(std::move(folder)), ring_(shared) {
  shared_.health.on_failure([this] {
    { std::lock_guard lock(mutex_); }
    wake_.notify_all();
  });
  thread_ = std::thread([this] { run(); });
}

DiskWriter::~DiskWriter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void DiskWriter::wait_opened(Duration at_most) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, at_most, [this] { return tried_; });
}

bool DiskWriter::reserve(size_t bytes) {
  size_t now = queued_bytes_.load(std::memory_order_relaxed);
  do {
    if (bytes > shared_.options.queue_bytes || now > shared_.options.queue_bytes - bytes) {
      return false;
    }
  } while (!queued_bytes_.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed));
  return true;
}

void DiskWriter::enqueue(Order order) {
  Status refused;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = error(Error::Kind::cancelled, "disk tier stops");
    } else if (order.kind == Order::Kind::raise && small_orders_ >= kMaxRaises) {
      refused = error(Error::Kind::busy, "too many changes wait for the disk");
    } else if (order.kind == Order::Kind::erase && small_orders_ >= kMaxSmallOrders) {
      // Nothing that is to go may come back: then all of it goes.
      make_empty_ = true;
      refused = error(Error::Kind::busy, "more is to go than is remembered");
    } else {
      if (is_small(order)) ++small_orders_;
      queue_.push_back(std::move(order));
    }
  }
  if (refused.ok()) {
    wake_.notify_all();
    return;
  }
  // Told after the order is noted, so that a doctor who misses the note meets the failure.
  if (refused.error().kind == Error::Kind::busy && order.kind == Order::Kind::erase) {
    shared_.health.fail(DiskState::failed, "more is to go than is remembered: it is made empty");
  }
  if (is_small(order)) shared_.refused.fetch_add(1, std::memory_order_relaxed);
  finish(order, refused);
}

void DiskWriter::finish(Order& order, const Status& status) {
  order.body.clear();
  if (order.kind == Order::Kind::commit && !status.ok() &&
      status.error().kind != Error::Kind::exists) {
    erase_older(*order.session);
  }
  release(order.charge);
  if (order.done) order.done(status);
}

void DiskWriter::erase_older(const Session& session) {
  Order order;
  order.kind = Order::Kind::erase;
  order.key = session.key;
  order.generation = session.generation;
  enqueue(std::move(order));
}

void DiskWriter::refuse_queued() {
  std::vector<Order> refused;
  {
    std::lock_guard lock(mutex_);
    std::deque<Order> kept;
    for (Order& order : queue_) {
      // What is to go must not come back with the disk.
      if (order.kind == Order::Kind::erase && !stopping_ && !make_empty_) {
        kept.push_back(std::move(order));
      } else {
        refused.push_back(std::move(order));
      }
    }
    queue_.swap(kept);
    small_orders_ = queue_.size();
  }
  for (Order& order : refused) finish(order, error(Error::Kind::io, "disk tier is off"));
}

void DiskWriter::run() {
  pthread_setname_np(pthread_self(), "disk-write");
  Duration retry = shared_.options.first_retry;
  MonoTime opened_at;
  for (bool first = true;; first = false) {
    if (!shared_.health.ok()) {
      refuse_queued();
      if (shared_.clock.mono() - opened_at > kMaxRetry) retry = shared_.options.first_retry;
      if (!first) {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, retry, [this] { return stopping_; });
        if (stopping_) break;
        retry = std::min(retry * 2, kMaxRetry);
      }
      if (doctor()) opened_at = shared_.clock.mono();
      {
        std::lock_guard lock(mutex_);
        tried_ = true;
      }
      wake_.notify_all();
      continue;
    }
    Order order;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty() || !shared_.health.ok(); });
      if (!shared_.health.ok()) continue;
      if (queue_.empty()) break;
      order = std::move(queue_.front());
      queue_.pop_front();
      if (is_small(order)) --small_orders_;
    }
    finish(order, carry_out(order));
  }
  refuse_queued();
  shared_.catalogue.close();
}

void DiskWriter::judge(const Error& failure) {
  switch (failure.kind) {
    case Error::Kind::exists:
    case Error::Kind::not_found:
    case Error::Kind::cancelled:
    case Error::Kind::too_large:
      return;  // answers, not errors of the disk
    case Error::Kind::corrupt:
      shared_.catalogue_faults.fetch_add(1, std::memory_order_relaxed);
      shared_.checksum_failures.fetch_add(1, std::memory_order_relaxed);
      shared_.health.count_checksum_failure();
      return;
    default: {
      const std::string catalogue = shared_.catalogue.failure_text();
      shared_.health.fail(state_after(failure),
                          catalogue.empty() ? describe(failure) : "catalogue: " + catalogue);
    }
  }
}

Status DiskWriter::carry_out(Order& order) {
  Status status;
  switch (order.kind) {
    case Order::Kind::piece:
      status = write_piece(order);
      break;
    case Order::Kind::commit:
      status = write_object(order);
      shared_.writes.fetch_add(status.ok() ? 1 : 0, std::memory_order_relaxed);
      break;
    case Order::Kind::raise:
      status = raise(order);
      break;
    case Order::Kind::erase:
      status = erase(order);
      break;
    case Order::Kind::flush:
      break;
  }
  if (!status.ok()) {
    if (order.session != nullptr) order.session->dead.store(true, std::memory_order_relaxed);
    judge(status.error());
  }
  return status;
}

Result<Place> DiskWriter::write_record(RecordHead& head, const std::vector<Slice>& body,
                                       size_t body_size) {
  head.body_here = static_cast<uint32_t>(body_size);
  const size_t head_size =
      record_head_size(head.canonical_key.size(), head.meta.size(), head.pieces.size(), body_size);
  buffer_.resize(head_size + body_size);
  char* at = buffer_.data() + head_size;
  for (const Slice& slice : body) {
    std::memcpy(at, slice.data(), slice.size());
    at += slice.size();
  }
  BW_CHECK(at == buffer_.data() + buffer_.size());
  for (bool again = false;; again = true) {
    const auto place = ring_.room(buffer_.size());
    if (!place.ok()) return place.error();
    head.sequence = place->sequence;
    seal_record(head, buffer_);
    const Status written = shared_.files.write(*place, buffer_);
    if (written.ok()) {
      ring_.advance(*place, buffer_.size());
      return *place;
    }
    if (again || written.error().kind != Error::Kind::no_space) return written.error();
    ring_.end_current();
  }
}

Status DiskWriter::write_piece(Order& order) {
  Session& session = *order.session;
  if (session.dead.load(std::memory_order_relaxed) || session.incarnation != incarnation()) {
    return error(Error::Kind::cancelled, "write was dropped");
  }
  RecordHead head{.kind = RecordHead::Kind::piece,
                  .number = static_cast<uint32_t>(session.pieces.size()),
                  .key = session.key,
                  .generation = session.generation,
                  .body_size = order.body_size};
  const auto place = write_record(head, order.body, order.body_size);
  if (!place.ok()) return place.error();
  session.pieces.push_back(*place);
  session.bytes += buffer_.size();
  return {};
}

Status DiskWriter::write_object(Order& order) {
  Session& session = *order.session;
  DiskRecord& record = *order.record;
  if (session.dead.load(std::memory_order_relaxed) || session.incarnation != incarnation()) {
    return error(Error::Kind::cancelled, "write was dropped");
  }
  // Test and insert are one step: nobody else writes.
  const auto known = shared_.catalogue.find(record.key);
  if (!known.ok()) return known.error();
  if (known->has_value() && (*known)->generation > record.generation) {
    return error(Error::Kind::exists, "a younger object is there");
  }
  RecordHead head{.kind = RecordHead::Kind::object,
                  .number = 0,
                  .key = record.key,
                  .generation = record.generation,
                  .pos = record.pos,
                  .expiry = record.expiry,
                  .body_size = record.body_size,
                  .canonical_key = std::move(record.canonical_key),
                  .meta = std::move(record.meta),
                  .pieces = session.pieces};
  const auto place = write_record(head, order.body, order.body_size);
  if (!place.ok()) return place.error();
  const uint64_t first = session.pieces.empty() ? place->sequence : session.pieces[0].sequence;
  if (!ring_.is_live(first)) {
    return error(Error::Kind::not_found, "the first piece was evicted before the last was written");
  }
  CatalogueBatch batch;
  if (known->has_value()) ring_.count_object(batch, (*known)->first_sequence, false);
  batch.put(record.key,
            ObjectRow{.at = *place,
                      .head_size = static_cast<uint32_t>(buffer_.size() - order.body_size),
                      .body_here = static_cast<uint32_t>(order.body_size),
                      .first_sequence = first,
                      .bytes = session.bytes + buffer_.size(),
                      .generation = record.generation,
                      .pos = record.pos,
                      .expiry = record.expiry});
  ring_.count_object(batch, first, true);
  ring_.put_current(batch);
  return shared_.catalogue.write(batch);
}

Status DiskWriter::raise(const Order& order) {
  const auto known = shared_.catalogue.find(order.key);
  if (!known.ok()) return known.error();
  if (!known->has_value() || (*known)->generation != order.generation ||
      (*known)->pos >= order.pos) {
    return {};
  }
  ObjectRow row = **known;
  row.pos = order.pos;
  CatalogueBatch batch;
  batch.put(order.key, row);
  return shared_.catalogue.write(batch);
}

Status DiskWriter::erase(const Order& order) {
  const auto known = shared_.catalogue.find(order.key);
  if (!known.ok()) return known.error();
  if (!known->has_value() || (*known)->generation > order.generation) return {};
  CatalogueBatch batch;
  batch.erase(order.key);
  ring_.count_object(batch, (*known)->first_sequence, false);
  return shared_.catalogue.write(batch);
}

}  // namespace bw::edge
