#include "core/net/tls_tickets.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/digest.h"

namespace bw::net {
namespace {

std::string process_secret() {
  std::string secret(32, '\0');
  BW_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()),
                      static_cast<int>(secret.size())) == 1);
  return secret;
}

Error bad_line(size_t line, std::string_view what, std::string* why) {
  if (why != nullptr) *why = "line " + std::to_string(line) + ": " + std::string(what);
  return Error{.kind = Error::Kind::malformed, .text = "bad ticket keys"};
}

}  // namespace

Result<TicketKeys> TicketKeys::parse(std::string_view text, std::string* why) {
  TicketKeys keys;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view each = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!each.empty() && (each.back() == '\r' || each.back() == ' ')) each.remove_suffix(1);
    if (each.empty() || each.front() == '#') continue;
    const std::optional<std::string> secret = from_hex(each);
    if (!secret) return bad_line(line, "a ticket key is an even number of hex digits", why);
    if (secret->size() < kMinSecret) {
      return bad_line(line, "a ticket key has at least 32 hex digits", why);
    }
    if (keys.keys_.size() == kMaxKeys) return bad_line(line, "more than 64 ticket keys", why);
    keys.add(*secret);
  }
  if (keys.keys_.empty()) return bad_line(1, "no ticket key", why);
  return keys;
}

TicketKeys TicketKeys::of_process() {
  static const std::string secret = process_secret();
  TicketKeys keys;
  keys.add(secret);
  return keys;
}

const TicketKey* TicketKeys::find(const uint8_t* name) const {
  for (const TicketKey& key : keys_) {
    if (std::memcmp(key.name.data(), name, key.name.size()) == 0) return &key;
  }
  return nullptr;
}

void TicketKeys::add(std::string_view secret) {
  TicketKey key;
  const Sha256 name = hmac_sha256(secret, "breakwater ticket name");
  std::copy_n(name.begin(), key.name.size(), key.name.begin());
  key.cipher = hmac_sha256(secret, "breakwater ticket cipher");
  key.mac = hmac_sha256(secret, "breakwater ticket mac");
  keys_.push_back(key);
}

}  // namespace bw::net
