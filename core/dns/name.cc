#include "core/dns/name.h"

namespace bw::dns {
namespace {

uint8_t lower_byte(uint8_t c) { return c >= 'A' && c <= 'Z' ? uint8_t(c + 32) : c; }

Error malformed(std::string_view text) {
  return Error{.kind = Error::Kind::malformed, .side = Error::Side::client, .text = text};
}

bool digit(char c) { return c >= '0' && c <= '9'; }

bool equal_wire(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  // Length bytes are at most 63, below 'A': lowering them changes nothing.
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower_byte(uint8_t(a[i])) != lower_byte(uint8_t(b[i]))) return false;
  }
  return true;
}

}  // namespace

Result<Name> Name::parse(std::string_view text) {
  Name name;
  if (text == ".") return name;
  if (text.empty()) return malformed("empty name");
  size_t label_at = 0;
  size_t at = 1;
  for (size_t i = 0; i <= text.size();) {
    if (i == text.size() || text[i] == '.') {
      size_t length = at - label_at - 1;
      if (length == 0) return malformed("empty label in a name");
      if (length > 63) return malformed("label of more than 63 bytes");
      name.bytes_[label_at] = uint8_t(length);
      if (at >= kMaxSize) return malformed("name of more than 255 bytes");
      label_at = at++;
      ++i;
      if (i >= text.size()) break;
      continue;
    }
    uint8_t value = uint8_t(text[i++]);
    if (value == '\\') {
      if (i == text.size()) return malformed("name ends in a backslash");
      if (digit(text[i])) {
        if (text.size() - i < 3 || !digit(text[i + 1]) || !digit(text[i + 2])) {
          return malformed("escape in a name is not three digits");
        }
        int code = (text[i] - '0') * 100 + (text[i + 1] - '0') * 10 + (text[i + 2] - '0');
        if (code > 255) return malformed("escape in a name is over 255");
        value = uint8_t(code);
        i += 3;
      } else {
        value = uint8_t(text[i++]);
      }
    }
    if (at >= kMaxSize) return malformed("name of more than 255 bytes");
    name.bytes_[at++] = value;
  }
  name.bytes_[label_at] = 0;
  name.size_ = uint8_t(label_at + 1);
  return name;
}

Result<Name> Name::read(Bytes message, size_t& offset) {
  Name name;
  size_t size = 0;
  size_t at = offset;
  size_t end = 0;         // behind the name, once a pointer was followed
  size_t floor = offset;  // pointers must go below this, so that they end
  bool jumped = false;
  for (;;) {
    if (at >= message.size()) return malformed("name runs past the message");
    uint8_t length = message[at];
    if ((length & 0xc0) == 0xc0) {
      if (at + 1 >= message.size()) return malformed("name runs past the message");
      size_t target = size_t(length & 0x3f) << 8 | message[at + 1];
      if (target >= floor) return malformed("compression pointer not backwards");
      if (!jumped) end = at + 2;
      jumped = true;
      floor = target;
      at = target;
      continue;
    }
    if ((length & 0xc0) != 0) return malformed("unknown label type");
    if (size + 1u + length > kMaxSize) return malformed("name of more than 255 bytes");
    if (at + 1u + length > message.size()) return malformed("name runs past the message");
    std::memcpy(name.bytes_.data() + size, message.data() + at, 1u + length);
    size += 1u + length;
    at += 1u + length;
    if (length == 0) break;
  }
  name.size_ = uint8_t(size);
  offset = jumped ? end : at;
  return name;
}

std::string Name::text() const {
  if (is_root()) return ".";
  std::string out;
  for (size_t at = 0; bytes_[at] != 0; at += 1u + bytes_[at]) {
    if (at != 0) out += '.';
    for (size_t i = at + 1; i <= at + bytes_[at]; ++i) {
      uint8_t c = bytes_[i];
      if (c == '.' || c == '\\') {
        out += '\\';
        out += char(c);
      } else if (c > ' ' && c < 127) {
        out += char(c);
      } else {
        out += '\\';
        out += char('0' + c / 100);
        out += char('0' + c / 10 % 10);
        out += char('0' + c % 10);
      }
    }
  }
  return out;
}

Name Name::lower() const {
  Name out;
  out.size_ = size_;
  for (size_t i = 0; i < size_; ++i) out.bytes_[i] = lower_byte(bytes_[i]);
  return out;
}

size_t Name::labels() const {
  size_t count = 0;
  for (size_t at = 0; bytes_[at] != 0; at += 1u + bytes_[at]) ++count;
  return count;
}

Name Name::parent() const {
  Name out;
  if (is_root()) return out;
  size_t skip = 1u + bytes_[0];
  out.size_ = uint8_t(size_ - skip);
  std::memcpy(out.bytes_.data(), bytes_.data() + skip, out.size_);
  return out;
}

bool Name::contains(const Name& other) const {
  if (other.size_ < size_) return false;
  size_t at = 0;
  while (other.size_ - at > size_) at += 1u + other.bytes_[at];
  return other.size_ - at == size_ && equal_wire(other.wire().substr(at), wire());
}

Result<Name> Name::child(std::string_view label) const {
  if (label.empty() || label.size() > 63) return malformed("label is empty or over 63 bytes");
  if (size_ + 1u + label.size() > kMaxSize) return malformed("name of more than 255 bytes");
  Name out;
  out.bytes_[0] = uint8_t(label.size());
  std::memcpy(out.bytes_.data() + 1, label.data(), label.size());
  std::memcpy(out.bytes_.data() + 1 + label.size(), bytes_.data(), size_);
  out.size_ = uint8_t(size_ + 1u + label.size());
  return out;
}

std::string_view Name::first_label() const { return wire().substr(1, bytes_[0]); }

bool operator==(const Name& a, const Name& b) { return equal_wire(a.wire(), b.wire()); }

}  // namespace bw::dns
