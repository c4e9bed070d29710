#include "core/http/client_connection.h"

#include <utility>

namespace bw::http {

ClientConnection::ClientConnection(net::Loop& loop, const Target& target,
                                   const ClientLimits& limits, Duration connect_deadline,
                                   Owner& owner)
    : loop_(loop),
      protocol_(target.protocol),
      limits_(limits),
      owner_(owner),
      connection_(net::Connection::connect(loop, target.address, target.tls, target.server_name)),
      timer_(loop, [this] { on_timer(); }) {
  connection_->set_events(this);
  if (connect_deadline > Duration::zero()) timer_.arm(connect_deadline);
}

ClientConnection::~ClientConnection() = default;

void ClientConnection::on_open() {
  timer_.cancel();
  if (connection_->is_tls()) {
    http2_ = connection_->tls().alpn == "h2";
    if (protocol_ == Target::Protocol::http2 && !http2_) {
      fail_dial({.kind = Error::Kind::unsupported,
                 .side = Error::Side::upstream,
                 .text = "the server does not speak HTTP/2"});
      return;
    }
  } else {
    http2_ = protocol_ == Target::Protocol::http2;
  }
  const ClientSessionParts parts{
      .loop = loop_, .connection = *connection_, .owner = *this, .limits = limits_};
  session_ = http2_ ? make_h2_client_session(parts) : make_h1_client_session(parts);
  if (session_ == nullptr) {
    fail_dial({.kind = Error::Kind::unsupported,
               .side = Error::Side::self,
               .text = "no HTTP/2 towards servers in this build"});
    return;
  }
  connection_->set_events(session_.get());
  state_ = State::open;
  owner_.on_connection_open(*this);
  watch_idle();
}

void ClientConnection::on_end() {
  fail_dial({.kind = Error::Kind::closed,
             .side = Error::Side::upstream,
             .text = "closed while connecting"});
}

bool ClientConnection::carry(std::shared_ptr<ClientRequest> request) {
  const bool sent = session_->carry(std::move(request));
  watch_idle();
  return sent;
}

void ClientConnection::close_idle() {
  if (idle()) session_->close();
}

void ClientConnection::on_room_changed() {
  if (state_ != State::open) return;
  owner_.on_connection_room(*this);
  watch_idle();
}

void ClientConnection::on_session_closed() {
  if (std::exchange(state_, State::closed) == State::closed) return;
  timer_.cancel();
  owner_.on_connection_closed(*this);
}

void ClientConnection::on_timer() {
  if (state_ == State::dialing) {
    fail_dial(
        {.kind = Error::Kind::timeout, .side = Error::Side::upstream, .text = "connect deadline"});
  } else {
    close_idle();
  }
}

void ClientConnection::watch_idle() {
  if (!idle() || limits_.idle_timeout <= Duration::zero()) {
    timer_.cancel();
  } else if (!timer_.armed()) {
    timer_.arm(limits_.idle_timeout);
  }
}

void ClientConnection::fail_dial(Error error) {
  if (state_ != State::dialing) return;
  state_ = State::closed;
  timer_.cancel();
  connection_->close();
  error.retry = Error::Retry::yes;  // nothing of a request was sent
  owner_.on_dial_failed(*this, error);
}

}  // namespace bw::http
