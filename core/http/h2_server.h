// The server's side of one HTTP/2 connection: its streams, deadlines and its end.
//
//   serving -> draining (GOAWAY) -> closing (what is queued leaves) -> dead
//
// Threads: its loop's. Private to core/http.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/http/h2_session.h"
#include "core/http/server_connection.h"

namespace bw::http {

class H2ServerConnection;

class H2ServerStream final : public ServerStream, public H2Stream {
 public:
  const RequestHead& request() const override { return head_; }
  const PeerInfo& peer() const override;
  net::Loop& loop() const override;
  void send_informational(int status, const FieldList& fields) override;
  void send_head(const ResponseHead& head) override;
  void send_body(Slice piece) override;
  void finish(const FieldList* trailers) override;
  void abort(Error error) override;
  void close_connection_after() override;
  bool wants_more() const override { return output_open() && queue_wants_more(); }
  uint64_t bytes_sent() const override;
  size_t buffered() const override;
  void pause_body() override;
  void resume_body() override;

 private:
  friend class H2ServerConnection;
  friend void retire_stream(net::Loop& loop, std::unique_ptr<H2ServerStream> stream);

  void on_field(std::string_view name, std::string_view value) override;
  void on_fields_end(bool end_stream) override;
  void on_piece(std::string_view piece) override;
  void on_stream_end() override;
  void on_room() override;
  void on_sent_whole() override;
  void on_closed(uint32_t code) override;

  void reuse(H2ServerConnection& connection);
  bool output_open() const { return !ended_ && !finished_; }
  void take_pseudo_field(std::string_view name, std::string_view value);
  // Zero, or the status that answers a head that can't be served; `why` says so.
  int judge_head(bool end_stream, std::string_view& why);
  void put_head(const ResponseHead& head);
  // The client's fault: its answer if none was begun, else a reset.
  void refuse(int status, std::string_view text, Error error);
  void tell_abort(Error error);
  bool waits_for_input() const { return !whole_ && !input_paused() && !finished_ && !ended_; }
  bool waits_for_output() const { return !out_made_ && (queued() > 0 || finished_); }

  H2ServerConnection* connection_ = nullptr;
  std::unique_ptr<StreamHandler> handler_;
  RequestHead head_;
  FieldList trailers_in_;
  std::string cookie_;
  std::string host_;
  size_t list_size_ = 0;
  size_t list_count_ = 0;

  size_t place_ = 0;  // in the connection's list
  bool head_done_ = false;
  bool whole_ = false;
  bool continue_awaited_ = false;  // Expect: 100-continue, and nothing was answered to it
  bool head_sent_ = false;
  bool finished_ = false;
  bool ended_ = false;  // the handler heard its last call, or made it
  bool sent_ = false;
  bool short_ = false;  // finished with less than was promised
  bool has_body_ = false;
  std::optional<uint64_t> promised_;  // Content-Length of the response
  uint64_t given_ = 0;                // of its body, queued so far
  uint64_t body_bytes_ = 0;           // of the request
};

class H2ServerConnection final : public ServerConnection, private H2Session::Owner {
 public:
  explicit H2ServerConnection(ServerConnectionParts parts);
  ~H2ServerConnection() override;

  void drain() override;
  void close() override;
  bool idle() const override { return streams_.empty(); }

  size_t on_data(std::string_view bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override { session_->on_drained(); }
  void on_progress() override;

 private:
  friend class H2ServerStream;

  H2Stream* on_stream_begin() override;
  void on_ping_answered() override;
  void on_failed(Error error) override { end(error); }
  void on_flushed() override;

  // The stream is over and nothing of it waits.
  void remove(H2ServerStream& stream);
  // No streams beyond those begun; then the end.
  void go_away();
  void abort_all(Error error);
  // Lets what is queued leave, then closes.
  void end(Error error);

  std::optional<MonoTime> next_deadline() const;
  void watch_deadlines();
  void on_timer();
  MonoTime output_since(const H2ServerStream& stream) const;

  net::Loop& loop_;
  std::unique_ptr<net::Connection> connection_;
  const PeerInfo& peer_;
  Service& service_;
  const ServerLimits& limits_;
  ServerCounters& counters_;
  Task closed_;

  std::vector<std::unique_ptr<H2ServerStream>> streams_;
  bool draining_ = false;
  bool gone_away_ = false;  // the last GOAWAY was queued
  bool closing_ = false;
  bool dead_ = false;
  MonoTime idle_since_;
  MonoTime drain_since_;
  MonoTime busy_since_;  // the kernel didn't take all; zero: it did
  Duration shortest_;    // of the deadlines
  net::Timer timer_;
  MonoTime timer_due_;
  std::unique_ptr<H2Session> session_;  // goes before streams and connection
};

std::unique_ptr<H2ServerStream> take_h2_stream();
void retire_stream(net::Loop& loop, std::unique_ptr<H2ServerStream> stream);

}  // namespace bw::http
