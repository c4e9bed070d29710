#pragma once
// The few frames a client writes, and the header block of its requests, ready to send.

#include <cstdint>
#include <string>
#include <string_view>

namespace bw::bench {

enum Frame : uint8_t {
  kData,
  kHeaders,
  kPriority,
  kReset,
  kSettings,
  kPushPromise,
  kPing,
  kGoAway,
  kWindowUpdate,
  kContinuation
};
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8, kWithPriority = 32;
constexpr size_t kFrameHead = 9;

inline uint32_t read32(const char* at) {
  const auto byte = [at](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(at[i])); };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

inline void put32(std::string& out, uint32_t value) {
  const char bytes[4] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                         static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(bytes, 4);
}

inline void put_frame_head(std::string& out, size_t length, Frame type, uint8_t flags,
                           uint32_t id) {
  const char bytes[kFrameHead] = {
      static_cast<char>(length >> 16), static_cast<char>(length >> 8), static_cast<char>(length),
      static_cast<char>(type),         static_cast<char>(flags),       static_cast<char>(id >> 24),
      static_cast<char>(id >> 16),     static_cast<char>(id >> 8),     static_cast<char>(id)};
  out.append(bytes, kFrameHead);
}

// The fields of a GET in HPACK. The first block of a connection enters what repeats into the
// server's dynamic table, the next ones only name it, as browsers' do.
class RequestBlocks {
 public:
  RequestBlocks(bool tls, std::string_view authority, bool path_repeats)
      : tls_(tls), path_repeats_(path_repeats), authority_(authority) {}

  void put(std::string& out, uint32_t id, std::string_view path) {
    block_.assign(tls_ ? "\x82\x87" : "\x82\x86");
    if (id == 1) {
      literal(path_repeats_ ? 0x44 : 0x04, path);
      literal(0x41, authority_);
      literal(0x7a, "breakwater-bench");
      literal(0x53, "*/*");
    } else if (path_repeats_) {
      block_ += "\xc1\xc0\xbf\xbe";
    } else {
      literal(0x04, path);
      block_ += "\xc0\xbf\xbe";
    }
    put_frame_head(out, block_.size(), kHeaders, kEndStream | kEndHeaders, id);
    out += block_;
  }

 private:
  void literal(int first, std::string_view value) {  // values are under 127 bytes
    block_ += static_cast<char>(first);
    block_ += static_cast<char>(value.size());
    block_ += value;
  }

  bool tls_, path_repeats_;
  std::string authority_;
  std::string block_;
};

// Whether decoding the block may change the dynamic table; then its bytes mean something else
// the next time.
bool changes_table(std::string_view block);

}  // namespace bw::bench
