// The server's side of one HTTP/1.x connection: one request at a time, answers in their order.
//
//   request:  head -> body -> whole                    (of the current stream)
//   response: awaited -> head sent -> finished -> sent
//
// A stream is current until its request is whole and its response finished; then it waits in
// `leaving_` until the kernel took its last byte. Pipelined requests stay unconsumed in the
// net::Connection meanwhile. Threads: its loop's. Private to core/http.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/http/h1_parser.h"
#include "core/http/h1_writer.h"
#include "core/http/server_connection.h"

namespace bw::http {

class H1ServerConnection;
class H1ServerStream;
class H1SpareStreams;

// Streams in order, linked through themselves.
class H1StreamList {
 public:
  H1StreamList() = default;
  H1StreamList(H1StreamList&& other) noexcept
      : first_(std::exchange(other.first_, nullptr)), last_(std::exchange(other.last_, nullptr)) {}
  H1StreamList& operator=(H1StreamList&&) = delete;
  ~H1StreamList();

  bool empty() const { return first_ == nullptr; }
  H1ServerStream& front() const { return *first_; }
  void push_back(std::unique_ptr<H1ServerStream> stream);
  std::unique_ptr<H1ServerStream> pop_front();

 private:
  H1ServerStream* first_ = nullptr;
  H1ServerStream* last_ = nullptr;
};

class H1ServerStream final : public ServerStream {
 public:
  const RequestHead& request() const override { return head_; }
  const PeerInfo& peer() const override;
  net::Loop& loop() const override;
  void send_informational(int status, const FieldList& fields) override;
  void send_head(const ResponseHead& head) override;
  void send_prepared(const PreparedHead& head, std::span<const Field> more) override;
  void send_body(Slice piece) override;
  void finish(const FieldList* trailers) override;
  void abort(Error error) override;
  void close_connection_after() override { keep_ = false; }
  bool wants_more() const override;
  uint64_t bytes_sent() const override;
  size_t buffered() const override;
  void pause_body() override;
  void resume_body() override;

 private:
  friend class H1ServerConnection;
  friend class H1SpareStreams;
  friend class H1StreamList;
  // Ready for another request, whose head is there already.
  void reuse(H1ServerConnection& connection);
  bool output_open() const { return !ended_ && !finished_; }
  // What Connection says of a response with this status and length; its framing is set.
  std::string_view begin_response(int status, std::optional<uint64_t> content_length);

  H1ServerConnection* connection_ = nullptr;
  std::unique_ptr<StreamHandler> handler_;
  RequestHead head_;

  bool request_whole_ = false;
  bool body_paused_ = false;
  bool continue_awaited_ = false;  // Expect: 100-continue, and nothing was answered to it
  bool keep_ = false;              // another request may follow
  bool head_sent_ = false;
  bool finished_ = false;
  bool ended_ = false;  // the stream may not be used any more
  bool has_body_ = false;
  H1Framing framing_ = H1Framing::none;
  uint64_t body_bytes_ = 0;  // of the request, read so far
  uint64_t unread_ = 0;      // of it, read after the response was finished
  uint64_t promised_ = 0;    // Content-Length of the response
  uint64_t given_ = 0;       // of its body, queued so far
  uint64_t start_mark_ = 0;  // the connection's count of queued bytes at its start and end
  uint64_t end_mark_ = 0;
  H1ServerStream* next_ = nullptr;  // in an H1StreamList
};

// Streams that wait for a request: made once, used again by all connections of a thread, with the
// memory of their heads. A head is parsed into the first of them.
class H1SpareStreams {
 public:
  static H1SpareStreams& of_thread();
  // Where the next head may be put; whoever does takes the stream before anybody else asks.
  RequestHead& next_head();
  std::unique_ptr<H1ServerStream> take();
  // In a later turn: streams and handlers of it may be on the way of the caller.
  static void retire(net::Loop& loop, H1StreamList streams);
  static void retire(net::Loop& loop, std::unique_ptr<H1ServerStream> stream);

 private:
  static constexpr size_t kMost = 256;
  static constexpr size_t kLargestHead = 4 * 1024;  // memory of a bigger one isn't kept
  void put(std::unique_ptr<H1ServerStream> stream);
  std::vector<std::unique_ptr<H1ServerStream>> spare_;
};

class H1ServerConnection final : public ServerConnection {
 public:
  explicit H1ServerConnection(ServerConnectionParts parts);

  // A whole answer may be followed by that much of an unread request; beyond, the connection is
  // closed instead.
  static constexpr uint64_t kReadAfterAnswer = 64 * 1024;
  // Requests of one connection in a turn before others have theirs.
  static constexpr int kTurnBudget = 32;

  void drain() override;
  void close() override;
  bool idle() const override { return stream_ == nullptr && !in_head_ && leaving_.empty(); }

  size_t on_data(std::string_view bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;
  void on_progress() override;

 private:
  friend class H1ServerStream;

  // Reading.
  size_t read_requests(std::string_view bytes);
  bool blocked() const;
  void start_stream();
  void on_body_piece(std::string_view piece);
  void on_request_whole();
  void update_reading(size_t left_over);
  void judge_early_answer();
  void send_continue();
  // Another turn of reading, and of telling what was sent.
  void look_again();
  void on_later();

  // Writing. What is queued is counted, so that its leaving can be told.
  void queue(Slice bytes);
  void queue_text(std::string_view bytes);
  // Of what was queued, what the kernel hadn't taken when it was last asked.
  uint64_t waiting() const { return queued_ - taken_; }
  void on_queued(size_t bytes);
  bool can_take_more() const;
  void on_finished();
  void complete();

  // Ends.
  void refuse(int status, std::string_view text, Error error);
  void send_refusal(int status, std::string_view text);
  // Of the current stream, by its handler; tell: on_abort comes in a later turn.
  void abort_current(Error error, bool tell);
  void end_visibly(const H1ServerStream& stream);
  void close_when_sent();
  void drop_stream(std::unique_ptr<H1ServerStream> stream, const Error* error);

  // Deadlines are looked at when the timer fires, not re-armed at each request.
  std::optional<MonoTime> next_deadline() const;
  void watch_deadlines();
  void on_timer();

  net::Loop& loop_;
  std::unique_ptr<net::Connection> connection_;
  const PeerInfo& peer_;
  Service& service_;
  const ServerLimits& limits_;
  ServerCounters& counters_;
  Task closed_;

  H1RequestParser parser_;
  std::unique_ptr<H1ServerStream> stream_;
  H1StreamList leaving_;
  bool in_data_ = false;
  bool in_head_ = false;  // some of a request head came
  bool reading_paused_ = false;
  bool client_ended_ = false;  // FIN; answers still go out
  bool draining_ = false;
  bool closing_ = false;  // no more requests; what is queued leaves, then the end
  bool dead_ = false;
  int budget_ = kTurnBudget;
  uint64_t queued_ = 0;
  uint64_t taken_ = 0;  // of it, by the kernel

  net::Timer timer_;
  MonoTime timer_due_;
  std::optional<net::Timer> later_;  // another turn of reading
  MonoTime idle_since_;              // the last answer was finished
  MonoTime head_since_;
  MonoTime body_since_;
  MonoTime output_since_;  // the queue became non-empty
};

}  // namespace bw::http
