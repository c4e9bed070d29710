// HTTP/2 as bytes, for tests: frames made by hand, and a plain nghttp2-free reader of frames.
//
// Header blocks use literals without indexing and without Huffman codes only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bw::http::h2 {

inline const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

inline std::string number(uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return out;
}
inline std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out = number(static_cast<uint32_t>(payload.size()), 3);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  return out + number(stream, 4) + std::string(payload);
}
inline std::string hpack_length(size_t n) {
  if (n < 127) return std::string(1, static_cast<char>(n));
  std::string out(1, '\x7f');
  n -= 127;
  while (n >= 128) {
    out.push_back(static_cast<char>(0x80 | (n & 0x7f)));
    n >>= 7;
  }
  out.push_back(static_cast<char>(n));
  return out;
}
using Fields = std::vector<std::pair<std::string, std::string>>;
inline std::string block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out.push_back('\0');
    out += hpack_length(name.size()) + name + hpack_length(value.size()) + value;
  }
  return out;
}
inline Fields get(std::string path = "/a") {
  return {{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", path}};
}
inline Fields post(std::string path = "/p") {
  return {{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", path}};
}
inline std::string headers(uint32_t stream, const Fields& fields, bool end = true) {
  return frame(1, static_cast<uint8_t>(4 | (end ? 1 : 0)), stream, block(fields));
}
inline std::string data(uint32_t stream, std::string_view bytes, bool end = false) {
  return frame(0, end ? 1 : 0, stream, bytes);
}
inline std::string settings(std::string_view payload = {}) { return frame(4, 0, 0, payload); }
inline std::string setting(uint16_t id, uint32_t value) { return number(id, 2) + number(value, 4); }
inline std::string reset(uint32_t stream, uint32_t code = 8) {
  return frame(3, 0, stream, number(code, 4));
}
inline std::string window(uint32_t stream, uint32_t more) {
  return frame(8, 0, stream, number(more, 4));
}
inline std::string ping() { return frame(6, 0, 0, "12345678"); }
inline std::string hello() { return kPreface + settings(); }

struct Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;
  uint32_t code(size_t at = 0) const {
    uint32_t value = 0;
    for (size_t i = at; i < at + 4 && i < payload.size(); ++i) {
      value = value << 8 | static_cast<uint8_t>(payload[i]);
    }
    return value;
  }
};
// The whole frames in `bytes`.
inline std::vector<Frame> frames(std::string_view bytes) {
  std::vector<Frame> out;
  while (bytes.size() >= 9) {
    const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
    const size_t size = at(0) << 16 | at(1) << 8 | at(2);
    if (bytes.size() < 9 + size) break;
    out.push_back({static_cast<uint8_t>(at(3)), static_cast<uint8_t>(at(4)),
                   at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8),
                   std::string(bytes.substr(9, size))});
    bytes.remove_prefix(9 + size);
  }
  return out;
}
// Of one type (and stream, unless 0).
inline std::vector<Frame> frames(std::string_view bytes, uint8_t type, uint32_t stream = 0) {
  std::vector<Frame> out;
  for (Frame& f : frames(bytes)) {
    if (f.type == type && (stream == 0 || f.stream == stream)) out.push_back(std::move(f));
  }
  return out;
}
inline std::string body_of(std::string_view bytes, uint32_t stream) {
  std::string body;
  for (const Frame& f : frames(bytes, 0, stream)) body += f.payload;
  return body;
}
inline bool ended(std::string_view bytes, uint32_t stream) {
  for (const Frame& f : frames(bytes)) {
    if (f.stream == stream && (f.type == 0 || f.type == 1) && (f.flags & 1) != 0) return true;
  }
  return false;
}

}  // namespace bw::http::h2
