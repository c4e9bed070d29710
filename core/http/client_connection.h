// A connection of the pool from its dial to its close: owns the socket and, once open, the session
// of the version that ALPN (or prior knowledge) chose.
//
//   dialing -> open -> closed        (dialing may fail: closed)
//
// Threads: its loop's. Lifetime: owned by its ClientGroup, which retires it after the last call.
// Bounds: the connect deadline is the dial's; idle_timeout once it carries nothing.
// Private to core/http.
#pragma once

#include <memory>

#include "core/http/client_session.h"

namespace bw::http {

class ClientConnection final : private net::Connection::Events, private ClientSessionOwner {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_connection_open(ClientConnection& connection) = 0;
    // It may carry more, or less, than before.
    virtual void on_connection_room(ClientConnection& connection) = 0;
    // The last call, one of these two.
    virtual void on_dial_failed(ClientConnection& connection, Error error) = 0;
    virtual void on_connection_closed(ClientConnection& connection) = 0;
  };

  ClientConnection(net::Loop& loop, const Target& target, const ClientLimits& limits,
                   Duration connect_deadline, Owner& owner);
  ~ClientConnection() override;

  bool dialing() const { return state_ == State::dialing; }
  bool http2() const { return http2_; }  // once open
  // Takes requests now or later.
  bool usable() const { return state_ == State::open && session_->open(); }
  bool idle() const { return usable() && session_->idle(); }
  size_t room() const { return usable() ? session_->room() : 0; }
  // False: the head can't be sent.
  bool carry(std::shared_ptr<ClientRequest> request);
  // Closes it if it is idle.
  void close_idle();

 private:
  enum class State : uint8_t { dialing, open, closed };

  void on_open() override;
  size_t on_data(std::string_view bytes) override { return bytes.size(); }
  void on_end() override;
  void on_error(Error error) override { fail_dial(error); }
  void on_room_changed() override;
  void on_session_closed() override;

  void on_timer();
  void watch_idle();
  void fail_dial(Error error);

  net::Loop& loop_;
  const Target::Protocol protocol_;
  const ClientLimits limits_;
  Owner& owner_;
  State state_ = State::dialing;
  bool http2_ = false;
  std::unique_ptr<net::Connection> connection_;
  std::unique_ptr<ClientSession> session_;  // goes before the connection
  net::Timer timer_;                        // of the dial, then of idleness
};

}  // namespace bw::http
