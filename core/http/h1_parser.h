// Strict HTTP/1.x parsing, requests and responses, incremental: bytes in, one step at a time out.
//
// next() is given all bytes not yet consumed and answers one step. A message is: informational*
// (responses), head, body*, end. Cutting the input at any byte gives the same steps (pieces of body
// may be cut differently). An unfinished head isn't consumed: it comes again, longer; what was
// scanned isn't scanned again. After `failed` the connection is lost: nothing more can be told
// apart. Lifetime: `body` views the bytes given; head() and trailers() live until the next message.
// Bounds: H1Limits. See: RFC 9112; design of hostile input in docs/security.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/http/message.h"

namespace bw::http {

struct H1Limits {
  size_t max_header_size = 32 * 1024;  // head with its line ends; trailers the same again
  size_t max_headers = 128;            // trailers the same again
  size_t max_uri = 8 * 1024;
  size_t max_chunk_line = 256;             // chunk size with its extensions
  size_t max_chunk_extensions = 8 * 1024;  // of all chunks of a message
};

enum class H1Event : uint8_t { need_more, informational, head, body, end, failed };

struct H1Step {
  H1Event event = H1Event::need_more;
  size_t consumed = 0;         // counts for every event, need_more too
  std::string_view body = {};  // of `body`
};

// Why a message was refused, and what a server answers to it.
struct H1Fault {
  int status = 400;       // 400, 414, 431, 501, 505
  std::string_view text;  // static
};

// What requests and responses share: heads cut into lines, fields, bodies, trailers.
class H1Parser {
 public:
  explicit H1Parser(H1Limits limits) : limits_(limits) {}
  virtual ~H1Parser() = default;
  H1Parser(const H1Parser&) = delete;
  H1Parser& operator=(const H1Parser&) = delete;

  // After need_more it wants more bytes than it was given. After `end` it is at the next message.
  H1Step next(std::string_view bytes);

  const H1Fault& fault() const { return fault_; }
  // The trailers of a chunked message that may be trailers (RFC 9110 section 6.5.1); at `end`.
  const FieldList& trailers() const { return trailers_; }
  // Whether another message may follow this one; valid from `head` on.
  bool keep_alive() const { return keep_alive_; }
  // From `head` to `end`.
  bool in_message() const { return state_ > State::head && state_ < State::failed; }
  // Bytes of the body still to come; UINT64_MAX when not known.
  uint64_t body_left() const;

 protected:
  enum class State : uint8_t {
    head,
    body,         // of known length
    chunk_size,   // at the start of a chunk-size line
    chunk_data,   //
    chunk_end,    // at the CRLF after a chunk's data
    trailers,     //
    until_close,  // body ends with the connection
    end,          // only the `end` step is missing
    failed,
  };

  // Framing fields of a head, gathered while its fields are read.
  struct Framing {
    bool has_length = false;
    uint64_t length = 0;
    size_t codings = 0;  // Transfer-Encoding fields
    std::string coding;  // all of them, joined by commas
    size_t hosts = 0;
    std::string_view host;  // in the copy that `fields` made
    bool close = false;
    bool keep = false;
  };

  // Parses one whole head, without its final empty line. False: fail() was called.
  virtual bool on_head_block(std::string_view block, H1Event& event) = 0;
  // The longest allowed first line.
  virtual size_t first_line_limit() const = 0;
  virtual int first_line_status() const = 0;
  virtual bool skips_blank_line() const = 0;

  bool fail(int status, std::string_view text);
  // Reads field lines into `fields`, which is empty; with `framing`, framing fields go there
  // instead.
  bool read_fields(std::string_view block, FieldList& fields, Framing* framing);
  // Takes the first line off a head's block, without its CRLF.
  std::string_view take_first_line(std::string_view& block) const;
  // "chunked" and nothing else: true. Else fail().
  bool check_coding(const Framing& framing);
  void start_body(uint64_t length);
  void start_chunked();
  void start_until_close() { state_ = State::until_close; }

  H1Limits limits_;
  H1Fault fault_;
  State state_ = State::head;
  bool keep_alive_ = false;

 private:
  // Finds the end of a block of lines; answers its size with the final empty line, 0: not whole.
  size_t find_block(std::string_view bytes, bool trailer);
  H1Step read_head(std::string_view bytes);
  H1Step read_body(std::string_view bytes);
  H1Step read_chunks(std::string_view bytes);
  bool read_chunk_size(std::string_view line);
  bool read_framing_field(FieldId id, std::string_view value, Framing& framing);
  void read_trailer_block(std::string_view block);

  uint64_t left_ = 0;           // of the body, or of the chunk
  size_t scanned_ = 0;          // of an unfinished block or chunk line: bytes seen without LF
  size_t line_start_ = 0;       // of the line that `scanned_` is in
  size_t first_line_ = 0;       // size of a block's first line with its line end
  size_t extension_bytes_ = 0;  // of this message
  bool blank_skipped_ = false;
  FieldList trailers_;
};

class H1RequestParser final : public H1Parser {
 public:
  // `scheme` is the connection's: "http" or "https", static.
  H1RequestParser(H1Limits limits, std::string_view scheme) : H1Parser(limits), scheme_(scheme) {}
  // Where the next head goes: given before next() comes to it. What is in there may be of an
  // earlier request: its memory is used again.
  void fill(RequestHead& head) { head_ = &head; }

 private:
  bool on_head_block(std::string_view block, H1Event& event) override;
  size_t first_line_limit() const override { return limits_.max_uri + 96; }
  int first_line_status() const override { return 414; }
  bool skips_blank_line() const override { return true; }
  bool read_request_line(std::string_view line);
  bool read_host(const Framing& framing);
  bool read_framing(const Framing& framing);

  std::string_view scheme_;
  RequestHead* head_ = nullptr;
  bool absolute_ = false;  // the authority came with the target
};

class H1ResponseParser final : public H1Parser {
 public:
  explicit H1ResponseParser(H1Limits limits) : H1Parser(limits) {}
  // Before each response: the method that it answers.
  void expect(std::string_view method) { method_ = method; }
  // At `informational` and from `head` on; may be moved from.
  ResponseHead& head() { return head_; }
  // The connection ended, and what next() didn't consume is all there is. `end` with proven() false
  // when the close ends the body; else `failed`.
  H1Step on_close();
  // Whether the message's own framing told its end.
  bool proven() const { return proven_; }

 private:
  bool on_head_block(std::string_view block, H1Event& event) override;
  size_t first_line_limit() const override { return 1024; }
  int first_line_status() const override { return 502; }
  bool skips_blank_line() const override { return false; }
  bool read_status_line(std::string_view line);
  bool read_framing(const Framing& framing);

  std::string method_;
  ResponseHead head_;
  bool proven_ = true;
};

}  // namespace bw::http
