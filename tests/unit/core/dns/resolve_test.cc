#include "core/dns/resolve.h"

#include <catch2/catch.hpp>

using namespace bw::dns;

namespace {
Name name(std::string_view text) { return *Name::parse(text); }
}  // namespace

TEST_CASE("resolve: an answer through an alias, with the least TTL") {
  std::array<uint8_t, 512> out{};
  MessageWriter writer(out, out.size());
  writer.set_id(9);
  writer.set_flags(flag::qr);
  writer.add_question({.name = name("www.example"), .type = type::a});
  writer.add_name_record(Section::answer, name("www.example"), type::cname, 20, name("x.example"));
  const uint8_t address[] = {192, 0, 2, 7};
  writer.add_record(Section::answer, name("x.example"), type::a, 60, address);
  const uint8_t stray[] = {192, 0, 2, 8};
  writer.add_record(Section::answer, name("y.example"), type::a, 60, stray);
  Bytes message(out.data(), writer.finish());

  auto response = parse_response(message, 9, name("WWW.example"), type::a);
  REQUIRE(response.ok());
  CHECK(response->outcome == Response::Outcome::addresses);
  CHECK(response->addresses.size() == 1);
  CHECK(response->ttl == 20);
  CHECK_FALSE(parse_response(message, 8, name("www.example"), type::a).ok());
  CHECK_FALSE(parse_response(message, 9, name("w.example"), type::a).ok());
  CHECK_FALSE(parse_response(message, 9, name("www.example"), type::aaaa).ok());
  for (size_t size = 0; size < message.size(); ++size) {
    CHECK_FALSE(parse_response(message.first(size), 9, name("www.example"), type::a).ok());
  }
}

TEST_CASE("resolve: aliases in a circle end in no data") {
  std::array<uint8_t, 512> out{};
  MessageWriter writer(out, out.size());
  writer.set_flags(flag::qr);
  writer.add_question({.name = name("a.x"), .type = type::a});
  writer.add_name_record(Section::answer, name("a.x"), type::cname, 20, name("b.x"));
  writer.add_name_record(Section::answer, name("b.x"), type::cname, 20, name("a.x"));
  Bytes message(out.data(), writer.finish());
  CHECK(parse_response(message, 0, name("a.x"), type::a)->outcome == Response::Outcome::nodata);
}

TEST_CASE("resolve: outcomes follow rcode and flags") {
  struct Row {
    uint16_t flags;
    Rcode rcode;
    Response::Outcome outcome;
  };
  const Row rows[] = {
      {flag::qr, Rcode::noerror, Response::Outcome::nodata},
      {flag::qr, Rcode::nxdomain, Response::Outcome::nxdomain},
      {flag::qr, Rcode::servfail, Response::Outcome::failed},
      {flag::qr, Rcode::refused, Response::Outcome::failed},
      {flag::qr | flag::tc, Rcode::noerror, Response::Outcome::truncated},
  };
  for (const Row& row : rows) {
    std::array<uint8_t, 512> out{};
    MessageWriter writer(out, out.size());
    writer.set_flags(row.flags);
    writer.set_rcode(row.rcode);
    writer.add_question({.name = name("a.x"), .type = type::aaaa});
    Soa soa;
    soa.minimum = 40;
    writer.add_soa(Section::authority, name("x"), 300, soa);
    Bytes message(out.data(), writer.finish());
    auto response = parse_response(message, 0, name("a.x"), type::aaaa);
    REQUIRE(response.ok());
    CHECK(response->outcome == row.outcome);
    if (row.outcome == Response::Outcome::nxdomain) CHECK(response->ttl == 40);
  }
}

TEST_CASE("resolve: a built query is a query") {
  std::array<uint8_t, 300> out{};
  auto size = build_query(77, name("example.org"), type::aaaa, out);
  REQUIRE(size.ok());
  Query query;
  CHECK(parse_query(Bytes(out.data(), *size), query) == QueryFault::none);
  CHECK(query.header.id == 77);
  CHECK(query.edns->udp_size == 1232);
}

TEST_CASE("resolve: resolv.conf and hosts are read line by line") {
  CHECK(nameservers_of("# x\nnameserver 192.0.2.1 # a\nsearch b\n nameserver\t::1\nnameserver") ==
        std::vector<std::string>{"192.0.2.1", "::1"});
  CHECK(hosts_of("127.0.0.1 localhost Me.example\n::1 localhost\n# 1.1.1.1 localhost",
                 "me.EXAMPLE.") == std::vector<std::string>{"127.0.0.1"});
  CHECK(hosts_of("127.0.0.1 a\n::1 a", "a").size() == 2);
}
