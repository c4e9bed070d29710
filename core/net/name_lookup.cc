#include "core/net/name_lookup.h"

#include <netdb.h>

#include "core/base/check.h"
#include "core/base/executor.h"

namespace bw::net {

std::vector<Ip> look_up_name(const std::string& host, std::string* why) {
  if (const Result<Ip> ip = Ip::parse(host); ip.ok()) return {*ip};
  BW_CHECK(thread_may_block());
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); code != 0) {
    *why = host + ": " + ::gai_strerror(code);
    return {};
  }
  std::vector<Ip> found;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    found.push_back(Address::from_sockaddr(one->ai_addr).ip());
  }
  ::freeaddrinfo(list);
  return found;
}

}  // namespace bw::net
