// Addresses, networks and the names TLS compares: what parses is shown in a form that parses again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/net/address.h"
#include "core/net/tls_names.h"
#include "core/net/tls_tickets.h"

using namespace bw;
using namespace bw::net;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const Result<Address> address = Address::parse(text); address.ok()) {
    const Result<Address> again = Address::parse(address->text());
    BW_CHECK(again.ok() && *again == *address);
  }
  if (const Result<Network> network = Network::parse(text); network.ok()) {
    const Result<Network> again = Network::parse(network->text());
    BW_CHECK(again.ok() && again->text() == network->text());
    BW_CHECK(network->contains(network->base));
  }
  CertificateNames names;
  const size_t split = text.find('|');
  const std::string left(text.substr(0, split));
  const std::string right(split == std::string_view::npos ? "" : text.substr(split + 1));
  names.add({"a.test", "*.b.test"}, false);
  names.add({left, right}, true);
  BW_CHECK(names.find(left) <= 1);
  BW_CHECK(names.hold_both(left, left));
  BW_CHECK(names.hold_both(left, right) == names.hold_both(right, left) || left.empty() ||
           right.empty());
  std::string why;
  (void)TicketKeys::parse(text, &why);
  return 0;
}
