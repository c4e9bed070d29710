// One request from fetch() to its last event: its head, deadlines, handler, and what waits to be
// sent until a connection carries it.
//
//   waiting -> head -> body -> ended        (each may go to ended)
//
// Threads: its loop's. Lifetime: shared by the caller's handle and by whoever carries it or lets it
// wait; cancelled when the handle goes, after which no event reaches the handler. Bounds: while it
// waits wants_more() is false; ClientDeadlines. Errors: each ends it, once.
// Private to core/http.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "core/http/client.h"

namespace bw::http {

// Whoever sends one request and reads its response: a connection of HTTP/1.1, a stream of HTTP/2.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual void send_body(Slice piece) = 0;
  virtual void finish(const FieldList* trailers) = 0;
  virtual bool wants_more() const = 0;
  // No event of the response comes while paused, the end too.
  virtual void pause() = 0;
  virtual void resume() = 0;
  // The request is over for its owner (also inside an event that the carrier tells it): the carrier
  // lets go of it and tells it nothing more.
  virtual void cancel() = 0;
};

class ClientRequest final : public std::enable_shared_from_this<ClientRequest> {
 public:
  using Queue = std::list<std::shared_ptr<ClientRequest>>;

  ClientRequest(net::Loop& loop, const RequestHead& head, bool has_body,
                const ClientDeadlines& deadlines, ClientHandler& handler);

  // For carriers and the pool. head().has_body is what fetch() was told.
  const RequestHead& head() const { return head_; }
  const ClientDeadlines& deadlines() const { return deadlines_; }
  bool ended() const { return state_ == State::ended; }

  // The carrier begins: gets what was queued and asked for so far. Calls no handler. `reused`: the
  // connection has carried another request before.
  void attach(Carrier& carrier, bool reused);
  // The carrier goes without a word (its pool is destroyed), and so does the request.
  void detach();

  // Events, told by the carrier. After on_end and on_error the request has let go of it.
  void on_informational(const ResponseHead& head);
  void on_head(const ResponseHead& head);
  void on_body(std::string_view piece);
  void on_end(const FieldList& trailers, bool proven);
  void on_error(Error error);
  void on_writable();
  // Bytes of it were sent or came: the deadlines between bytes begin anew.
  void touch() { since_ = loop_.now(); }
  // on_error in a later turn, without the carrier.
  void fail_later(Error error);

  // While it waits for a connection. Leaves by itself when it is cancelled or a deadline passes.
  void wait_in(Queue& queue);
  void leave_queue();

  // What the handle passes on.
  void send_body(Slice piece);
  void finish(const FieldList* trailers);
  bool wants_more() const { return carrier_ != nullptr && !finished_ && carrier_->wants_more(); }
  void pause();
  void resume();
  bool reused() const { return reused_; }
  void cancel();

 private:
  enum class State : uint8_t { waiting, head, body, ended };

  void on_timer();
  void arm();
  Duration phase_limit() const;
  bool clock_stopped() const;
  // Lets go of carrier, queue and handler; answers who is still to be told, or null.
  ClientHandler* end();

  net::Loop& loop_;
  RequestHead head_;
  const ClientDeadlines deadlines_;
  ClientHandler* handler_;  // null: nothing is told any more
  State state_ = State::waiting;
  Carrier* carrier_ = nullptr;
  bool reused_ = false;
  bool paused_ = false;
  bool finished_ = false;
  std::vector<Slice> queued_;  // until it is carried
  std::unique_ptr<FieldList> trailers_;
  MonoTime begun_;
  MonoTime since_;  // of the deadline for the first byte, or between bytes
  net::Timer timer_;
  Queue* queue_ = nullptr;
  Queue::iterator place_;
};

}  // namespace bw::http
