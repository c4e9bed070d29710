// What handlers of whole objects share: a start that may wait, one head, pieces, one end.
//
// Threads: the loop. Lifetime: stream() is null once the stream ended, whoever ended it.
#pragma once

#include <optional>
#include <string_view>

#include "core/http/server_stream.h"
#include "core/net/loop.h"
#include "origin/conditional.h"

namespace bw::origin {

class ObjectStream : public http::StreamHandler {
 public:
  explicit ObjectStream(http::ServerStream& stream) : stream_(&stream), loop_(stream.loop()) {}

  void on_body(std::string_view) override {}
  void on_body_end(const http::FieldList&) override {}
  void on_abort(Error) override { leave(); }

 protected:
  // Called by start_after(), in a later turn.
  virtual void start() = 0;
  // The stream ended before its time.
  virtual void on_left() {}

  http::ServerStream* stream() const { return stream_; }
  net::Loop& loop() const { return loop_; }
  void start_after(Duration delay);

  // A head and body that conditions and ranges don't touch; then the end.
  void send_whole(int status, const http::FieldList& fields, std::string_view body);
  void send_plain_head(int status, http::FieldList fields, uint64_t size);
  // 200, 206, 304, 412 or 416 for an object of `size` bytes. After it left() bytes from offset()
  // are wanted, perhaps none.
  void send_object_head(http::FieldList fields, const Validators& validators, uint64_t size,
                        bool with_length);
  void send_piece(Slice piece);
  void end();
  void break_off();

  uint64_t left() const { return left_; }
  uint64_t offset() const { return offset_; }
  uint64_t given() const { return given_; }

 private:
  void leave();

  http::ServerStream* stream_;
  net::Loop& loop_;
  std::optional<net::Timer> timer_;
  uint64_t offset_ = 0;  // of the next piece in the object
  uint64_t left_ = 0;
  uint64_t given_ = 0;
};

}  // namespace bw::origin
