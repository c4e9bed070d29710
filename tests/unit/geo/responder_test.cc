#include "geo/responder.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/geo/geo_world.h"

using namespace bw;
using namespace bw::geo;
using dns::Rcode;

namespace {

struct Answer {
  dns::Header header;
  dns::Question question;
  std::vector<dns::Record> answer, authority, additional;
  std::optional<dns::Edns> edns;
  std::string bytes;
};

struct Desk {
  metrics::Registry registry;
  DnsMetrics metrics{registry};
  RateTable rates{{20, std::chrono::seconds(1)}, 1};
  RateTable unlimited{{0, std::chrono::seconds(1)}, 1};
  ManualClock clock;
  std::shared_ptr<const World> world = make_world();
  Responder responder{unlimited, metrics};
  Responder limited{rates, metrics};
  net::Ip from = *net::Ip::parse("203.0.113.53");
  Responder::Transport transport = Responder::Transport::udp;

  Desk() {
    const Snapshot snapshot{world, std::make_shared<Health>(all_up(*world))};
    responder.set_snapshot(snapshot);
    limited.set_snapshot(snapshot);
  }

  static std::string query(std::string_view name, uint16_t type, const dns::Edns* edns = nullptr,
                           uint16_t klass = 1) {
    std::array<uint8_t, 512> out{};
    dns::MessageWriter writer(out, out.size());
    writer.set_id(0x1234);
    writer.set_flags(dns::flag::rd);
    REQUIRE(writer.add_question({.name = *dns::Name::parse(name), .type = type, .klass = klass}));
    if (edns != nullptr) REQUIRE(writer.add_edns(*edns));
    const size_t size = writer.finish();
    return {reinterpret_cast<const char*>(out.data()), size};
  }

  std::string raw(const Responder& with, std::string_view query) {
    static std::vector<uint8_t> out(Responder::kMaxAnswer);
    const size_t size =
        with.answer(dns::Bytes(reinterpret_cast<const uint8_t*>(query.data()), query.size()), from,
                    transport, clock.mono(), clock.wall(), out);
    return {reinterpret_cast<const char*>(out.data()), size};
  }

  static Answer parse(std::string bytes) {
    Answer answer;
    answer.bytes = std::move(bytes);
    const dns::Bytes message(reinterpret_cast<const uint8_t*>(answer.bytes.data()),
                             answer.bytes.size());
    answer.header = *dns::read_header(message);
    size_t at = dns::kHeaderSize;
    if (answer.header.counts[0] != 0) answer.question = *dns::read_question(message, at);
    for (size_t section = 1; section < 4; ++section) {
      for (unsigned i = 0; i < answer.header.counts[section]; ++i) {
        const auto record = dns::read_record(message, at);
        REQUIRE(record.ok());
        if (record->type == dns::type::opt) {
          answer.edns = *dns::read_edns(*record);
        } else {
          (section == 1   ? answer.answer
           : section == 2 ? answer.authority
                          : answer.additional)
              .push_back(*record);
        }
      }
    }
    REQUIRE(at == answer.bytes.size());
    return answer;
  }

  Answer ask(std::string_view name, uint16_t type, const dns::Edns* edns = nullptr) {
    return parse(raw(responder, query(name, type, edns)));
  }
};

std::string address(const dns::Record& record) {
  net::Ip ip;
  ip.v6 = record.data.size() == 16;
  std::copy(record.data.begin(), record.data.end(), ip.bytes.begin());
  return ip.text();
}

dns::Edns with_subnet(std::string_view text) {
  const net::Network network = *net::Network::parse(text);
  dns::Edns edns{.udp_size = 4096};
  edns.subnet = dns::ClientSubnet{.family = uint16_t(network.base.v6 ? 2 : 1),
                                  .source = network.length,
                                  .scope = 0,
                                  .address = network.base.bytes};
  return edns;
}

}  // namespace

TEST_CASE("responder: each kind of question has its code, sections and authority bit") {
  Desk desk;
  struct Row {
    const char* name;
    uint16_t type;
    Rcode rcode;
    size_t answers, authority;
    bool aa;
  };
  using namespace dns::type;
  for (const Row& row : {
           Row{"www.cdn.example", a, Rcode::noerror, 2, 0, true},
           Row{"WwW.CdN.eXaMpLe", a, Rcode::noerror, 2, 0, true},
           Row{"www.cdn.example", aaaa, Rcode::noerror, 1, 0, true},
           Row{"www.cdn.example", txt, Rcode::noerror, 1, 0, true},
           Row{"www.cdn.example", caa, Rcode::noerror, 0, 1, true},
           Row{"static.cdn.example", a, Rcode::noerror, 2, 0, true},
           Row{"static.cdn.example", aaaa, Rcode::noerror, 0, 1, true},
           Row{"cdn.example", soa, Rcode::noerror, 1, 0, true},
           Row{"cdn.example", ns, Rcode::noerror, 2, 0, true},
           Row{"cdn.example", a, Rcode::noerror, 0, 1, true},
           Row{"empty.cdn.example", a, Rcode::noerror, 0, 1, true},  // an empty non-terminal
           Row{"deep.empty.cdn.example", caa, Rcode::noerror, 1, 0, true},
           Row{"none.cdn.example", a, Rcode::nxdomain, 0, 1, true},
           Row{"a.www.cdn.example", a, Rcode::nxdomain, 0, 1, true},
           Row{"any.wild.cdn.example", a, Rcode::noerror, 2, 0, true},
           Row{"a.b.wild.cdn.example", a, Rcode::noerror, 2, 0, true},
           Row{"wild.cdn.example", a, Rcode::noerror, 0, 1, true},
           Row{"any.wild.cdn.example", txt, Rcode::noerror, 0, 1, true},
           Row{"alias.cdn.example", a, Rcode::noerror, 3, 0, true},
           Row{"alias.cdn.example", cname, Rcode::noerror, 1, 0, true},
           Row{"out.cdn.example", a, Rcode::noerror, 1, 0, true},
           Row{"loop.cdn.example", a, Rcode::noerror, 9, 0, true},
           Row{"sub.cdn.example", a, Rcode::noerror, 0, 1, false},  // a referral
           Row{"x.y.sub.cdn.example", a, Rcode::noerror, 0, 1, false},
           Row{"sub.cdn.example", ds, Rcode::noerror, 0, 1, true},
           Row{"www.cdn.example", any, Rcode::noerror, 1, 0, true},  // HINFO
           Row{"www.cdn.example", axfr, Rcode::refused, 0, 0, false},
           Row{"cdn.example", ixfr, Rcode::refused, 0, 0, false},
           Row{"other.example", a, Rcode::refused, 0, 0, false},
           Row{"example", a, Rcode::refused, 0, 0, false},
           Row{".", ns, Rcode::refused, 0, 0, false},
       }) {
    INFO(row.name << " " << row.type);
    const Answer answer = desk.ask(row.name, row.type);
    CHECK(answer.header.id == 0x1234);
    CHECK(answer.header.rcode() == unsigned(row.rcode));
    CHECK(answer.answer.size() == row.answers);
    CHECK(answer.authority.size() == row.authority);
    CHECK(((answer.header.flags & dns::flag::aa) != 0) == row.aa);
    CHECK((answer.header.flags & dns::flag::rd) != 0);
    CHECK_FALSE(answer.edns.has_value());
    CHECK(answer.question.name.text() == (std::string_view(row.name) == "." ? "." : row.name));
    if (!answer.authority.empty() && row.aa) {
      CHECK(answer.authority[0].type == dns::type::soa);
      CHECK(answer.authority[0].ttl == 300);
    }
  }
}

TEST_CASE("responder: a referral and NS bring the addresses of servers in the zone") {
  Desk desk;
  const Answer referral = desk.ask("x.sub.cdn.example", dns::type::a);
  REQUIRE(referral.additional.size() == 1);
  CHECK(address(referral.additional[0]) == "192.0.2.77");
  CHECK(referral.authority[0].name.text() == "sub.cdn.example");
  CHECK(desk.ask("cdn.example", dns::type::ns).additional.size() == 1);
}

TEST_CASE("responder: a cut between our zones, glue that doesn't fit, and a long negative TTL") {
  std::string text(kWorld);
  text += R"(
[[zone.record]]
name = "wide"
type = "NS"
data = ["ns.wide.cdn.example"]
[[zone.record]]
name = "ns.wide"
type = "A"
data = [ADDRESSES]
[[zone]]
name = "child.cdn.example"
ns = ["ns.child.cdn.example"]
minimum = "2h"
)";
  std::string addresses;
  for (int i = 1; i < 100; ++i) addresses += "\"192.0.2." + std::to_string(i) + "\",";
  text.replace(text.find("ADDRESSES"), 9, addresses);
  Desk desk;
  desk.world = make_world(text);
  desk.responder.set_snapshot({desk.world, std::make_shared<Health>(all_up(*desk.world))});

  const Answer ds = desk.ask("child.cdn.example", dns::type::ds);
  REQUIRE(ds.authority.size() == 1);
  CHECK(ds.authority[0].name.text() == "cdn.example");
  CHECK((ds.header.flags & dns::flag::aa) != 0);

  CHECK((desk.ask("x.wide.cdn.example", dns::type::a).header.flags & dns::flag::tc) != 0);
  desk.transport = Responder::Transport::tcp;
  const Answer whole = desk.ask("x.wide.cdn.example", dns::type::a);
  CHECK((whole.header.flags & dns::flag::tc) == 0);
  CHECK(whole.additional.size() == 99);

  const Answer none = desk.ask("none.child.cdn.example", dns::type::a);
  REQUIRE(none.authority.size() == 1);
  CHECK(none.authority[0].ttl == 3600);
}

TEST_CASE("responder: three clients, three POPs, each with its true scope; static data scope 0") {
  Desk desk;
  struct Row {
    const char* subnet;
    const char* first_two;
    unsigned scope;
  };
  for (const Row& row :
       {Row{"198.51.100.0/25", "192.0.2.1", 25}, Row{"203.0.113.0/24", "192.0.2.2", 24},
        Row{"198.51.100.128/25", "192.0.2.3", 25}, Row{"2001:db8:a::/48", "192.0.2.2", 48}}) {
    const dns::Edns edns = with_subnet(row.subnet);
    const Answer answer = desk.ask("www.cdn.example", dns::type::a, &edns);
    REQUIRE(answer.edns.has_value());
    REQUIRE(answer.edns->subnet.has_value());
    CHECK(answer.edns->subnet->family == edns.subnet->family);
    CHECK(answer.edns->subnet->source == edns.subnet->source);
    CHECK(answer.edns->subnet->address == edns.subnet->address);
    CHECK(unsigned(answer.edns->subnet->scope) == row.scope);
    REQUIRE_FALSE(answer.answer.empty());
    CHECK(address(answer.answer[0]).substr(0, 9) == row.first_two);
    const Answer fixed = desk.ask("static.cdn.example", dns::type::a, &edns);
    CHECK(fixed.edns->subnet->scope == 0);
    CHECK(desk.ask("none.cdn.example", dns::type::a, &edns).edns->subnet->scope == 0);
  }
  dns::Edns none{.udp_size = 1232};
  none.subnet = dns::ClientSubnet{};  // dig +subnet=0
  const Answer answer = desk.ask("www.cdn.example", dns::type::a, &none);
  CHECK(answer.edns->subnet->scope == 0);
  CHECK(answer.edns->subnet->family == 0);
}

TEST_CASE("responder: EDNS is answered with EDNS; an unknown version with BADVERS") {
  Desk desk;
  dns::Edns edns{.udp_size = 4096, .version = 1, .extended_rcode = 0, .dnssec_ok = true};
  const Answer bad = desk.ask("www.cdn.example", dns::type::a, &edns);
  CHECK(bad.edns->extended_rcode == 1);
  CHECK(bad.edns->version == 0);
  CHECK(bad.answer.empty());
  edns.version = 0;
  const Answer good = desk.ask("www.cdn.example", dns::type::a, &edns);
  CHECK(good.edns->udp_size == 1232);
  CHECK(good.edns->dnssec_ok);
}

TEST_CASE("responder: what is too long for UDP says TC and comes whole over TCP") {
  Desk desk;
  dns::Edns edns{.udp_size = 4096};
  const Answer cut = desk.ask("big.cdn.example", dns::type::txt, &edns);
  CHECK((cut.header.flags & dns::flag::tc) != 0);
  CHECK(cut.answer.empty());
  CHECK(cut.bytes.size() < 100);
  desk.transport = Responder::Transport::tcp;
  const Answer whole = desk.ask("big.cdn.example", dns::type::txt);
  CHECK((whole.header.flags & dns::flag::tc) == 0);
  CHECK(whole.answer.size() == 1);
}

TEST_CASE("responder: malformed queries get FORMERR or silence, other opcodes NOTIMP") {
  Desk desk;
  const std::string good = Desk::query("www.cdn.example", dns::type::a);
  CHECK(desk.raw(desk.responder, "").empty());
  CHECK(desk.raw(desk.responder, good.substr(0, 11)).empty());
  std::string response = good;
  response[2] = char(response[2] | 0x80);
  CHECK(desk.raw(desk.responder, response).empty());
  CHECK(Desk::parse(desk.raw(desk.responder, good.substr(0, 20))).header.rcode() == 1);
  CHECK(Desk::parse(desk.raw(desk.responder, good + "x")).header.rcode() == 1);
  std::string update = good;
  update[2] = char(5 << 3);
  const Answer notimp = Desk::parse(desk.raw(desk.responder, update));
  CHECK(notimp.header.rcode() == 4);
  CHECK(notimp.header.opcode() == 5);
  // version.bind and its like: another class.
  CHECK(
      Desk::parse(desk.raw(desk.responder, Desk::query("version.bind", dns::type::txt, nullptr, 3)))
          .header.rcode() == 5);
}

TEST_CASE("responder: over the rate TC, and a valid cookie or TCP is let through") {
  Desk desk;
  dns::Edns edns{.udp_size = 1232};
  edns.cookie = dns::Cookie{.client = {1, 2, 3, 4, 5, 6, 7, 8}, .server = {}, .server_size = 0};
  const std::string query = Desk::query("www.cdn.example", dns::type::a, &edns);
  Answer answer;
  for (int i = 0; i < 21; ++i) answer = Desk::parse(desk.raw(desk.limited, query));
  CHECK((answer.header.flags & dns::flag::tc) != 0);
  CHECK(answer.answer.empty());
  REQUIRE(answer.edns->cookie.has_value());
  edns.cookie = answer.edns->cookie;
  const Answer proved =
      Desk::parse(desk.raw(desk.limited, Desk::query("www.cdn.example", dns::type::a, &edns)));
  CHECK(proved.answer.size() == 2);
  // Somebody else's cookie proves nothing.
  edns.cookie->server[15] ^= 1;
  const Answer forged =
      Desk::parse(desk.raw(desk.limited, Desk::query("www.cdn.example", dns::type::a, &edns)));
  CHECK(forged.answer.empty());
  // Malformed ones over the limit: silence.
  CHECK(desk.raw(desk.limited, query.substr(0, 20)).empty());
  desk.transport = Responder::Transport::tcp;
  CHECK(Desk::parse(desk.raw(desk.limited, query)).answer.size() == 2);
  CHECK(desk.metrics.queries[0][size_t(Outcome::limited)]->value() == 2);
}

TEST_CASE("responder: a query without a question but with a cookie is told a cookie") {
  Desk desk;
  dns::Edns edns{.udp_size = 1232};
  edns.cookie = dns::Cookie{.client = {1, 2, 3, 4, 5, 6, 7, 8}, .server = {}, .server_size = 0};
  const auto ask = [&](const dns::Edns* with) {
    std::array<uint8_t, 512> out{};
    dns::MessageWriter writer(out, out.size());
    writer.set_id(0x1234);
    if (with != nullptr) REQUIRE(writer.add_edns(*with));
    const size_t size = writer.finish();
    return Desk::parse(desk.raw(desk.responder, {reinterpret_cast<const char*>(out.data()), size}));
  };
  const Answer first = ask(&edns);
  CHECK(first.header.rcode() == 0);
  CHECK(first.header.counts == std::array<uint16_t, 4>{0, 0, 0, 1});
  REQUIRE((first.edns && first.edns->cookie));
  CHECK(first.edns->cookie->client == edns.cookie->client);
  REQUIRE(first.edns->cookie->server_size > 0);
  edns.cookie = first.edns->cookie;
  CHECK(ask(&edns).edns->extended_rcode == 0);
  edns.cookie->server[15] ^= 1;  // not ours: BADCOOKIE, 23, and one that is
  const Answer forged = ask(&edns);
  CHECK(forged.header.rcode() == 7);
  CHECK(forged.edns->extended_rcode == 1);
  CHECK(forged.edns->cookie->server == first.edns->cookie->server);
  edns.cookie.reset();
  CHECK(ask(&edns).header.rcode() == 1);
  CHECK(ask(nullptr).header.rcode() == 1);
  CHECK(desk.metrics.queries[0][size_t(Outcome::cookie)]->value() == 3);
}

TEST_CASE("responder: no answer over UDP is larger than it may be") {
  Desk desk;
  for (const char* name :
       {"www.cdn.example", "big.cdn.example", "cdn.example", "any.wild.cdn.example"}) {
    for (const uint16_t type : {dns::type::a, dns::type::txt, dns::type::ns, dns::type::any}) {
      CHECK(desk.raw(desk.responder, Desk::query(name, type)).size() <= 512);
      dns::Edns edns{.udp_size = 65535};
      CHECK(desk.raw(desk.responder, Desk::query(name, type, &edns)).size() <= 1232);
    }
  }
}

TEST_CASE("responder: _why tells place, scope, POPs and answer") {
  Desk desk;
  const dns::Edns edns = with_subnet("203.0.113.0/24");
  const Answer answer = desk.ask("_why.www.cdn.example", dns::type::txt, &edns);
  REQUIRE(answer.answer.size() == 1);
  const std::string text(reinterpret_cast<const char*>(answer.answer[0].data.data()) + 1,
                         answer.answer[0].data.size() - 1);
  CHECK(
      text.find("subnet=203.0.113.0 country=US scope=24 map=world pops=iad1:2/2,fra1:4/4,sin1:1/1 "
                "answer=iad1 192.0.2.2") == 0);
  CHECK(desk.ask("_why.www.cdn.example", dns::type::a).header.rcode() == 0);
  CHECK(desk.ask("_why.static.cdn.example", dns::type::txt).header.rcode() == 3);
}
