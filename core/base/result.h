// A value or the reason there is none: how every fallible call of ours answers.
//
// Errors: an Error is 24 bytes and owns nothing; its text is static. Who stops an error logs it,
// once. Reading the value of a failed Result is a bug (CHECK).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/base/check.h"

namespace bw {

struct Error {
  // What went wrong, in the terms a caller decides by.
  enum class Kind : uint8_t {
    malformed,    // bytes that break a protocol's or a format's rules
    too_large,    // a named bound was passed
    timeout,      // a named deadline ran out
    refused,      // the other side, or a rule, said no
    unreachable,  // no connection could be made
    closed,       // the connection ended before the message did
    not_found,
    exists,
    no_space,  // a disk or a table is full
    io,        // the operating system or a library failed
    unsupported,
    cancelled,
    busy,     // a bounded queue is full
    corrupt,  // stored data fails its checksum or its format
    internal,
  };
  // Who caused it.
  enum class Side : uint8_t { client, upstream, storage, self };
  // Whether the same attempt may be made again.
  enum class Retry : uint8_t { no, if_reused, yes };

  Kind kind = Kind::internal;
  Side side = Side::self;
  Retry retry = Retry::no;
  int32_t code = 0;       // errno, or the library's own code; 0: none
  std::string_view text;  // static text that names what failed

  friend bool operator==(const Error& a, const Error& b) = default;
};
static_assert(sizeof(Error) == 24);

// The name of a kind, as logs show it.
std::string_view to_text(Error::Kind kind);
// `text (kind, code N: strerror)`: one line for a log or a person.
std::string describe(const Error& error);
// An Error from errno `code`: no_space when a disk or a quota is full, else io.
Error errno_error(int code, std::string_view text, Error::Side side = Error::Side::self);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, error) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& operator*() & { return get(); }
  const T& operator*() const& { return const_cast<Result*>(this)->get(); }
  T&& operator*() && { return std::move(get()); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &const_cast<Result*>(this)->get(); }

  const Error& error() const {
    BW_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  T& get() {
    BW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(error), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const {
    BW_CHECK(!ok_);
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace bw
