// Keys of session tickets: from the lines of a file shared within a POP, or of this process.
//
// Each secret gives a name, a cipher key and a MAC key by HMAC, so any length of 16 bytes or more
// will do. The first encrypts, all decrypt: a new line is put second first, on all nodes, and then
// moved up.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace bw::net {

struct TicketKey {
  std::array<uint8_t, 16> name{};
  std::array<uint8_t, 32> cipher{};  // AES-256-CBC
  std::array<uint8_t, 32> mac{};     // HMAC-SHA-256
};

class TicketKeys {
 public:
  static constexpr size_t kMaxKeys = 64;
  static constexpr size_t kMinSecret = 16;  // bytes

  // Lines of hex; empty lines and those that start with # are skipped.
  static Result<TicketKeys> parse(std::string_view text, std::string* why);
  // The same for each context made by this process, so that a reload keeps sessions.
  static TicketKeys of_process();

  const TicketKey& first() const { return keys_.front(); }
  const TicketKey* find(const uint8_t* name) const;

 private:
  void add(std::string_view secret);
  std::vector<TicketKey> keys_;
};

}  // namespace bw::net
