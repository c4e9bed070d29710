#include <cstdint>
#include <string_view>

#include "core/base/check.h"
#include "edge/guard/client_address.h"

// Whatever a proxy sends: an address comes out, and an untrusted peer is always believed to be
// itself.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view value(reinterpret_cast<const char*>(data + 1), size - 1);
  bw::edge::ClientAddressRule rule;
  rule.field = (data[0] & 1) != 0 ? "forwarded" : "x-forwarded-for";
  bw::http::FieldList fields;
  fields.add(rule.field, value);
  const bw::net::Address peer = *bw::net::Address::parse("10.0.0.1:80");
  BW_CHECK(client_address(rule, peer, fields) == peer.ip());
  rule.trusted = {*bw::net::Network::parse("10.0.0.0/8")};
  (void)client_address(rule, peer, fields);
  return 0;
}
