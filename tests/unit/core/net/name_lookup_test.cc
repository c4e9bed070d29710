#include "core/net/name_lookup.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::net;

TEST_CASE("name look-up: literals are themselves, localhost is found, nonsense is named") {
  std::string why;
  CHECK(look_up_name("192.0.2.7", &why) == std::vector<Ip>{*Ip::parse("192.0.2.7")});
  CHECK(look_up_name("2001:db8::1", &why) == std::vector<Ip>{*Ip::parse("2001:db8::1")});
  const std::vector<Ip> local = look_up_name("localhost", &why);
  REQUIRE_FALSE(local.empty());
  CHECK(local[0].loopback());
  CHECK(why.empty());
  CHECK(look_up_name("not a host name", &why).empty());
  CHECK(why.find("not a host name: ") == 0);
}
