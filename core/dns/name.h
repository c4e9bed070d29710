// A domain name in wire form: at most 255 bytes, labels of at most 63, letters compared without
// case.
//
// Values, no allocation. Bounds: compression pointers must point backwards, each before the last,
// so reading ends. See: RFC 1035 sections 2.3.4, 3.1, 4.1.4; RFC 4343.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bw::dns {

using Bytes = std::span<const uint8_t>;

class Name {
 public:
  static constexpr size_t kMaxSize = 255;

  Name() { bytes_[0] = 0; }  // the root
  Name(const Name& other) : size_(other.size_) {
    std::memcpy(bytes_.data(), other.bytes_.data(), size_);
  }
  Name& operator=(const Name& other) {
    size_ = other.size_;
    std::memmove(bytes_.data(), other.bytes_.data(), size_);
    return *this;
  }

  // Text as in zone files: `www.example`, with or without the last dot, `\.` and `\DDD` escapes.
  static Result<Name> parse(std::string_view text);
  // Reads at `offset` of `message` and moves it behind the name. Keeps the case.
  static Result<Name> read(Bytes message, size_t& offset);

  // Without the last dot; "." for the root.
  std::string text() const;
  // Length-prefixed labels and the root's zero byte.
  std::string_view wire() const { return {reinterpret_cast<const char*>(bytes_.data()), size_}; }
  Name lower() const;
  bool is_root() const { return size_ == 1; }
  size_t labels() const;  // the root has none
  // Without its first label; the root's parent is the root.
  Name parent() const;
  // This name or a name below it.
  bool contains(const Name& other) const;
  // `label` (raw bytes) in front; fails when too long.
  Result<Name> child(std::string_view label) const;
  // The first label's raw bytes; empty for the root.
  std::string_view first_label() const;

  friend bool operator==(const Name& a, const Name& b);

 private:
  std::array<uint8_t, kMaxSize> bytes_;
  uint8_t size_ = 1;
};

}  // namespace bw::dns
