#include "core/http/client_group.h"

#include <algorithm>
#include <utility>

namespace bw::http {

ClientGroup::ClientGroup(net::Loop& loop, Target target, const ClientLimits& limits, Task on_empty)
    : loop_(loop), target_(std::move(target)), limits_(limits), on_empty_(std::move(on_empty)) {
  if (target_.protocol == Target::Protocol::http1) http2_ = false;
  if (target_.protocol == Target::Protocol::http2) http2_ = true;
  if (target_.protocol == Target::Protocol::negotiate && target_.tls == nullptr) http2_ = false;
}

ClientGroup::~ClientGroup() {
  while (!waiting_.empty()) {
    const std::shared_ptr<ClientRequest> request = waiting_.front();
    request->detach();
  }
}

void ClientGroup::submit(const std::shared_ptr<ClientRequest>& request) {
  if (waiting_.empty() && !ready_.empty()) {
    carry(request);
    return;
  }
  if (waiting_.size() >= limits_.max_waiting) {
    request->fail_later({.kind = Error::Kind::busy,
                         .side = Error::Side::upstream,
                         .retry = Error::Retry::yes,
                         .text = "too many requests wait for a connection"});
    return;
  }
  request->wait_in(waiting_);
  dial_if_needed();
}

void ClientGroup::carry(const std::shared_ptr<ClientRequest>& request) {
  ClientConnection& connection = *ready_.back();
  if (!connection.carry(request)) {
    request->leave_queue();
    request->fail_later({.kind = Error::Kind::malformed,
                         .side = Error::Side::client,
                         .text = "a request head that cannot be sent"});
  }
  note_room(connection);
}

void ClientGroup::dispatch() {
  while (!waiting_.empty() && !ready_.empty()) {
    const std::shared_ptr<ClientRequest> oldest = waiting_.front();
    carry(oldest);
  }
  dial_if_needed();
}

void ClientGroup::note_room(ClientConnection& connection) {
  const auto place = std::find(ready_.rbegin(), ready_.rend(), &connection);
  if (connection.room() == 0) {
    if (place != ready_.rend()) ready_.erase(std::next(place).base());
  } else if (place == ready_.rend()) {
    ready_.push_back(&connection);
  }
}

size_t ClientGroup::usable_connections() const {
  return static_cast<size_t>(std::count_if(connections_.begin(), connections_.end(),
                                           [](const auto& c) { return c->usable(); }));
}

void ClientGroup::dial_if_needed() {
  ClientConnection::Owner& owner = *this;
  const auto dial = [&] {
    ++dials_;
    connections_.push_back(std::make_unique<ClientConnection>(
        loop_, target_, limits_, waiting_.back()->deadlines().connect, owner));
  };
  if (waiting_.empty()) return;
  if (shares_connections()) {
    if (dials_ == 0 && usable_connections() < std::max<size_t>(1, limits_.http2_connections)) {
      dial();
    }
    return;
  }
  const size_t most = std::max<size_t>(1, limits_.max_connections);
  while (dials_ < waiting_.size() && connections_.size() < most) dial();
}

void ClientGroup::on_connection_open(ClientConnection& connection) {
  --dials_;
  http2_ = connection.http2();
  note_room(connection);
  dispatch();
}

void ClientGroup::on_connection_room(ClientConnection& connection) {
  note_room(connection);
  dispatch();
}

void ClientGroup::on_dial_failed(ClientConnection& connection, Error error) {
  --dials_;
  remove(connection);
  if (!shares_connections()) {
    fail_waiting(error, 1);
  } else if (dials_ == 0 && usable_connections() == 0) {
    fail_waiting(error, waiting_.size());
  }
  dial_if_needed();
  check_empty();
}

void ClientGroup::on_connection_closed(ClientConnection& connection) {
  remove(connection);
  dial_if_needed();
  check_empty();
}

// The handlers may ask for more meanwhile: those are not among the `count` oldest.
void ClientGroup::fail_waiting(Error error, size_t count) {
  std::vector<std::shared_ptr<ClientRequest>> failed;
  for (const std::shared_ptr<ClientRequest>& request : waiting_) {
    if (failed.size() == count) break;
    failed.push_back(request);
  }
  for (const std::shared_ptr<ClientRequest>& request : failed) request->leave_queue();
  for (const std::shared_ptr<ClientRequest>& request : failed) request->on_error(error);
}

void ClientGroup::remove(ClientConnection& connection) {
  std::erase(ready_, &connection);
  const auto place = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const auto& c) { return c.get() == &connection; });
  if (place == connections_.end()) return;
  loop_.retire(std::move(*place));
  connections_.erase(place);
}

void ClientGroup::check_empty() {
  if (connections_.empty() && waiting_.empty() && on_empty_) std::exchange(on_empty_, nullptr)();
}

size_t ClientGroup::idle_connections() const {
  return static_cast<size_t>(std::count_if(connections_.begin(), connections_.end(),
                                           [](const auto& c) { return c->idle(); }));
}

size_t ClientGroup::open_connections() const { return connections_.size() - dials_; }

void ClientGroup::close_idle() {
  std::vector<ClientConnection*> all;
  for (const auto& connection : connections_) all.push_back(connection.get());
  for (ClientConnection* connection : all) connection->close_idle();
}

}  // namespace bw::http
