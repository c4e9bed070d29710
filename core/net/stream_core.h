// The state of one connection: descriptor, transport, queue of writes, kept input.
//
// A core outlives its Connection only to finish what close_after_flush() promised.
//
//   starting -> connecting -> handshaking -> open -> dead      (accepted: no connecting)
//
// Threads: its loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/net/connection.h"
#include "core/net/transport.h"

namespace bw::net {

class StreamCore : public std::enable_shared_from_this<StreamCore> {
 public:
  StreamCore(Loop& loop, int fd, Address peer, bool connecting, Error::Side side);
  ~StreamCore();
  StreamCore(const StreamCore&) = delete;
  StreamCore& operator=(const StreamCore&) = delete;

  // Starts at the end of this turn, when the user has set its events.
  void start(std::unique_ptr<Transport> transport, int connect_error);
  void set_events(Connection::Events* events) { events_ = events; }
  void write(Slice bytes);
  void write_copy(std::string_view bytes);
  size_t buffered() const;
  void finish_writing();
  void close(bool reset);
  void close_after_flush();
  void pause_reading() { paused_ = !closing_; }
  void resume_reading();
  // The Connection is gone.
  void abandon();

  const TlsInfo& tls() const { return transport_->info(); }
  const Address& peer() const { return peer_; }
  const Address& local() const { return local_; }
  MonoTime last_read() const { return last_read_; }
  MonoTime last_write_progress() const { return last_write_; }

 private:
  enum class State : uint8_t { starting, connecting, handshaking, open, dead };

  void on_start();
  void on_watch(uint8_t what);
  void on_connected();
  void run_handshake();
  bool takes_bytes() const;
  void on_queued();
  void schedule_flush();
  void flush();
  void finish_if_flushed();
  void pump();
  void schedule_pump();
  void deliver(std::string_view bytes);
  void on_input_end();
  void update_interest();
  void fail_after_input(Error error);
  void fail(Error error);
  void tear_down(bool reset);

  Loop& loop_;
  int fd_;
  const Address peer_;
  Address local_;
  const Error::Side side_;
  const bool connects_;
  State state_ = State::starting;
  Connection::Events* events_ = nullptr;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<Timer> deadline_;  // of the linger, or of an abandoned flush
  int connect_error_ = 0;

  bool paused_ = false;
  bool pause_noticed_ = false;  // bytes came while paused: the descriptor is not polled for more
  bool read_ended_ = false;
  bool present_kept_ = false;
  bool pump_scheduled_ = false;
  std::string kept_;

  WriteQueue queue_;
  bool blocked_ = false;  // the kernel takes no more: wait until writable
  bool flush_scheduled_ = false;
  uint64_t flush_turn_ = 0;
  bool was_high_ = false;
  bool finish_requested_ = false;
  bool finished_ = false;
  bool closing_ = false;  // close_after_flush
  std::optional<Error> write_error_;

  MonoTime last_read_;
  MonoTime last_write_;
};

}  // namespace bw::net
