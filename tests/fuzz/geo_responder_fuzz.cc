// Any bytes to the DNS responder: silence, or a well-formed answer that fits its transport.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/text/toml.h"
#include "geo/responder.h"

using namespace bw;
using namespace bw::geo;

namespace {

constexpr std::string_view kFile = R"(
listen = [{ address = "127.0.0.1:0" }]
pop = [{ name = "a", addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"] },
       { name = "b", addresses = ["192.0.2.3"] }]
[[map]]
name = "m"
default = ["a", "b"]
networks = { "198.51.100.0/25" = ["b"], "2001:db8::/48" = ["b"] }
[[zone]]
name = "cdn.example"
ns = ["ns1.cdn.example"]
edge = [{ name = "www", map = "m" }, { name = "*.w", map = "m", answers = 8 }]
record = [{ name = "ns1", type = "A", data = ["192.0.2.53"] },
          { name = "c", type = "CNAME", data = ["c.cdn.example"] },
          { name = "d", type = "NS", data = ["ns.d.cdn.example"] },
          { name = "ns.d", type = "AAAA", data = ["2001:db8::53"] },
          { name = "t", type = "TXT", data = ["x"] }]
)";

struct Desk {
  metrics::Registry registry;
  DnsMetrics metrics{registry};
  RateTable rates{{5, std::chrono::seconds(1)}, 1};
  ManualClock clock;
  Responder responder{rates, metrics};
  std::vector<uint8_t> out = std::vector<uint8_t>(Responder::kMaxAnswer);

  Desk() {
    Diagnostics diagnostics;
    GeodnsSettings settings;
    const auto tree = text::parse_toml(kFile, "fuzz.toml", diagnostics);
    BW_CHECK(tree && read_settings(*tree, "fuzz.toml", settings, diagnostics));
    const auto world = compile_world(settings, nullptr, {dns::CookieSecret{}}, diagnostics);
    BW_CHECK(diagnostics.ok());
    auto health = std::make_shared<Health>();
    for (const Pop& pop : world->pops) health->up.emplace_back(pop.addresses.size(), true);
    responder.set_snapshot({world, health});
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Desk desk;
  const dns::Bytes query(data, size);
  net::Ip from;
  from.bytes[0] = 192;
  from.bytes[2] = size > 0 ? data[0] : 0;
  for (const auto transport : {Responder::Transport::udp, Responder::Transport::tcp}) {
    const size_t answered = desk.responder.answer(query, from, transport, desk.clock.mono(),
                                                  desk.clock.wall(), desk.out);
    if (answered == 0) continue;
    if (transport == Responder::Transport::udp) BW_CHECK(answered <= Responder::kUdpSize);
    const dns::Bytes answer(desk.out.data(), answered);
    const Result<dns::Header> header = dns::read_header(answer);
    BW_CHECK(header.ok() && (header->flags & dns::flag::qr) != 0);
    BW_CHECK(header->id == uint16_t(data[0] << 8 | data[1]));
    size_t at = dns::kHeaderSize;
    for (unsigned i = 0; i < header->counts[0]; ++i) {
      BW_CHECK(dns::read_question(answer, at).ok());
    }
    for (unsigned i = 0; i < 0u + header->counts[1] + header->counts[2] + header->counts[3]; ++i) {
      BW_CHECK(dns::read_record(answer, at).ok());
    }
    BW_CHECK(at == answered);
  }
  desk.clock.advance(std::chrono::milliseconds(20));
  return 0;
}
