#include "core/net/tls_tickets.h"

#include <catch2/catch.hpp>

using namespace bw;
using namespace bw::net;

TEST_CASE("ticket keys: lines of hex, the first encrypts, all are found") {
  const std::string one(32, 'a');
  const std::string two(64, 'B');
  std::string why;
  const Result<TicketKeys> keys =
      TicketKeys::parse("# shared in this POP\n\n" + one + "\r\n" + two + " \n", &why);
  REQUIRE(keys.ok());
  const Result<TicketKeys> turned = TicketKeys::parse(two + "\n" + one, &why);
  REQUIRE(turned.ok());
  CHECK(keys->first().name != turned->first().name);
  CHECK(keys->find(turned->first().name.data()) != nullptr);
  CHECK(keys->find(turned->first().name.data())->cipher == turned->first().cipher);
  CHECK(keys->first().cipher != keys->first().mac);
  const uint8_t unknown[16] = {};
  CHECK(keys->find(unknown) == nullptr);
}

TEST_CASE("ticket keys: what is no key is refused with its line") {
  std::string many;
  for (int i = 0; i < 65; ++i) many += std::string(32, 'a') + "\n";
  const struct {
    std::string text;
    const char* why;
  } rows[] = {
      {"", "line 1: no ticket key"},
      {"# none\n", "line 1: no ticket key"},
      {std::string(32, 'a') + "\nxyz", "line 2: a ticket key is an even number of hex digits"},
      {std::string(33, 'a'), "line 1: a ticket key is an even number of hex digits"},
      {"abcd", "line 1: a ticket key has at least 32 hex digits"},
      {many, "line 65: more than 64 ticket keys"},
  };
  for (const auto& row : rows) {
    std::string why;
    CHECK_FALSE(TicketKeys::parse(row.text, &why).ok());
    CHECK(why == row.why);
  }
}

TEST_CASE("ticket keys: a reload within a process keeps its keys") {
  CHECK(TicketKeys::of_process().first().name == TicketKeys::of_process().first().name);
}
