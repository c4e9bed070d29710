#include "geo/responder.h"

#include <algorithm>
#include <optional>
#include <string>

namespace bw::geo {
namespace {

using dns::MessageWriter;
using dns::Name;
using dns::Rcode;
using dns::Section;

constexpr int kMaxAliases = 8;
constexpr uint32_t kSoaTtl = 3600;
constexpr uint16_t kOpcodeMask = 0x7800;

dns::Bytes bytes_of(const net::Ip& ip) { return {ip.bytes.data(), ip.v6 ? 16u : 4u}; }
dns::Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// One query on its way through the zones.
class Answering {
 public:
  Answering(const Snapshot& snapshot, const dns::Query& query, const net::Ip& from,
            MessageWriter& writer)
      : world_(*snapshot.world),
        health_(*snapshot.health),
        query_(query),
        from_(from),
        writer_(writer) {}

  Outcome answer();
  bool fits() const { return fits_; }
  bool authoritative() const { return authoritative_; }
  bool all_down() const { return all_down_; }
  uint8_t scope() const { return scope_; }

 private:
  const dns::ClientSubnet* subnet() const {
    return query_.edns && query_.edns->subnet ? &*query_.edns->subnet : nullptr;
  }
  void keep(bool fits) { fits_ = fits_ && fits; }
  void add_soa(const Zone& zone) {
    const uint32_t ttl = std::min(zone.soa().minimum, kSoaTtl);  // RFC 2308 section 3
    keep(writer_.add_soa(Section::authority, zone.apex(), ttl, zone.soa()));
  }
  Outcome absent(const Zone& zone, Outcome outcome) {
    add_soa(zone);
    return outcome;
  }
  Outcome refer(const Zone& zone, const Zone::Found& found);
  Outcome node_answer(const Zone& zone, const Node& node, const Name& name);
  bool add_set(Section section, const Name& name, const RecordSet& set);
  void add_glue(const Zone& zone, const RecordSet& servers, const Name* cut = nullptr);
  bool add_edge(const EdgeName& edge, const Name& name, uint16_t type);
  std::optional<Outcome> why(const Zone& zone, const Name& name);
  std::string explain(const EdgeName& edge) const;

  const World& world_;
  const Health& health_;
  const dns::Query& query_;
  const net::Ip& from_;
  MessageWriter& writer_;
  bool fits_ = true;
  bool authoritative_ = false;
  bool all_down_ = false;
  uint8_t scope_ = 0;
};

Outcome Answering::answer() {
  Name name = query_.question.name;
  const uint16_t type = query_.question.type;
  for (int alias = 0;; ++alias) {
    const Zone* zone = world_.zones.find(name);
    if (zone == nullptr) {
      // The alias leads out of our zones: the resolver goes on by itself.
      if (alias > 0) return Outcome::answer;
      writer_.set_rcode(Rcode::refused);
      return Outcome::refused;
    }
    if (type == dns::type::ds && name == zone->apex() && name.wire().size() > 1) {
      // The parent answers for DS at the cut (RFC 4035 section 3.1.4.1), if that is ours too.
      if (const Zone* parent = world_.zones.find(name.parent())) {
        authoritative_ = authoritative_ || alias == 0;
        return absent(*parent, Outcome::nodata);
      }
    }
    const Zone::Found found = zone->find(name);
    if (found.kind == Zone::Found::Kind::referral) {
      // As above, of a cut to a zone that isn't ours.
      if (type == dns::type::ds && found.cut == name) {
        authoritative_ = true;
        return absent(*zone, Outcome::nodata);
      }
      return alias > 0 ? Outcome::answer : refer(*zone, found);
    }
    if (alias == 0) authoritative_ = true;
    if (const auto explained = alias == 0 ? why(*zone, name) : std::nullopt) return *explained;
    if (found.kind == Zone::Found::Kind::absent) {
      writer_.set_rcode(Rcode::nxdomain);
      return absent(*zone, Outcome::nxdomain);
    }
    const RecordSet* target = found.node->find(dns::type::cname);
    if (target == nullptr || type == dns::type::cname || type == dns::type::any) {
      return node_answer(*zone, *found.node, name);
    }
    keep(writer_.add_name_record(Section::answer, name, dns::type::cname, target->ttl,
                                 target->names.front()));
    if (alias == kMaxAliases) return Outcome::answer;
    name = target->names.front();
  }
}

Outcome Answering::refer(const Zone& zone, const Zone::Found& found) {
  const RecordSet& servers = *found.node->find(dns::type::ns);
  add_set(Section::authority, found.cut, servers);
  add_glue(zone, servers, &found.cut);
  return Outcome::referral;
}

bool Answering::add_set(Section section, const Name& name, const RecordSet& set) {
  bool fits = true;
  for (const Name& target : set.names) {
    fits = fits && writer_.add_name_record(section, name, set.type, set.ttl, target);
  }
  for (const std::string& data : set.data) {
    fits = fits && writer_.add_record(section, name, set.type, set.ttl, bytes_of(data));
  }
  keep(fits);
  return fits;
}

// Addresses of name servers inside the zone. What doesn't fit is left out (RFC 2181 section 9), but
// below a cut nobody can ask for it elsewhere: then the answer says TC (RFC 9471 section 3).
void Answering::add_glue(const Zone& zone, const RecordSet& servers, const Name* cut) {
  for (const Name& server : servers.names) {
    const Node* node = zone.apex().contains(server) ? zone.exact(server) : nullptr;
    if (node == nullptr) continue;
    const bool needed = cut != nullptr && cut->contains(server);
    for (const uint16_t type : {dns::type::a, dns::type::aaaa}) {
      const RecordSet* addresses = node->find(type);
      if (addresses == nullptr) continue;
      for (const std::string& data : addresses->data) {
        const bool fits =
            writer_.add_record(Section::additional, server, type, addresses->ttl, bytes_of(data));
        if (needed) keep(fits);
      }
    }
  }
}

bool Answering::add_edge(const EdgeName& edge, const Name& name, uint16_t type) {
  const PlaceMap& map = world_.maps[edge.map];
  const bool v6 = type == dns::type::aaaa;
  if (!(v6 ? map.has_v6 : map.has_v4)) return false;
  const Whereabouts where = find_place(map, subnet(), from_);
  const Choice choice = choose(world_, health_, map, where, v6, edge.answers);
  scope_ = where.scope;
  all_down_ = choice.all_down;
  for (size_t i = 0; i < choice.count; ++i) {
    keep(writer_.add_record(Section::answer, name, type, edge.ttl, bytes_of(choice.addresses[i])));
  }
  return choice.count > 0;
}

Outcome Answering::node_answer(const Zone& zone, const Node& node, const Name& name) {
  const uint16_t type = query_.question.type;
  const bool apex = name == zone.apex();
  if (type == dns::type::any && !(node.empty() && !apex)) {
    // RFC 8482 section 4.2: one synthesised HINFO instead of everything.
    constexpr std::string_view kHinfo("\7RFC8482\0", 9);
    keep(writer_.add_record(Section::answer, name, dns::type::hinfo, 3600, bytes_of(kHinfo)));
    return Outcome::answer;
  }
  if (type == dns::type::soa && apex) {
    keep(writer_.add_soa(Section::answer, name, kSoaTtl, zone.soa()));
    return Outcome::answer;
  }
  if (node.edge && (type == dns::type::a || type == dns::type::aaaa) &&
      add_edge(*node.edge, name, type)) {
    return Outcome::answer;
  }
  const RecordSet* set = node.find(type);
  if (set == nullptr) return absent(zone, Outcome::nodata);
  add_set(Section::answer, name, *set);
  if (type == dns::type::ns) add_glue(zone, *set);
  return Outcome::answer;
}

// `TXT _why.NAME` explains the answer of an edge name.
std::optional<Outcome> Answering::why(const Zone& zone, const Name& name) {
  const std::string_view label = name.first_label();
  if (label.size() != 4 || !(*Name().child(label) == *Name().child("_why"))) return std::nullopt;
  if (zone.exact(name) != nullptr || !zone.apex().contains(name.parent())) return std::nullopt;
  const Zone::Found above = zone.find(name.parent());
  if (above.kind != Zone::Found::Kind::node || !above.node->edge) return std::nullopt;
  if (query_.question.type != dns::type::txt) return absent(zone, Outcome::nodata);
  RecordData data;
  if (!parse_record_data(dns::type::txt, explain(*above.node->edge), data).empty()) {
    return std::nullopt;
  }
  keep(writer_.add_record(Section::answer, name, dns::type::txt, 0, bytes_of(data.data)));
  scope_ = find_place(world_.maps[above.node->edge->map], subnet(), from_).scope;
  return Outcome::answer;
}

std::string Answering::explain(const EdgeName& edge) const {
  const PlaceMap& map = world_.maps[edge.map];
  const dns::ClientSubnet* client = subnet();
  const Whereabouts where = find_place(map, client, from_);
  net::Ip asked = from_;
  if (client != nullptr && client->source > 0) {
    asked = net::Ip{};
    asked.v6 = client->family == 2;
    std::copy_n(client->address.begin(), asked.v6 ? 16 : 4, asked.bytes.begin());
  }
  std::string text = (client != nullptr && client->source > 0 ? "subnet=" : "resolver=");
  text += asked.text();
  text += " country=";
  const Location location = world_.locator != nullptr ? world_.locator->find(asked) : Location{};
  text += location.has_country() ? location.country_text() : std::string_view("none");
  text += " scope=" + std::to_string(where.scope) + " map=" + map.name + " pops=";
  for (uint16_t number : map.lists[where.list]) {
    const Pop& pop = world_.pops[number];
    size_t up = 0;
    for (const bool one : health_.up[number]) up += one ? 1u : 0u;
    if (text.back() != '=') text += ',';
    text += pop.name + ":" + std::to_string(up) + "/" + std::to_string(pop.addresses.size());
    if (text.size() > 800) break;
  }
  const Choice choice = choose(world_, health_, map, where, !map.has_v4, edge.answers);
  if (choice.count > 0) text += " answer=" + world_.pops[choice.pop].name;
  if (choice.all_down) text += " all-down";
  for (size_t i = 0; i < choice.count; ++i) text += " " + choice.addresses[i].text();
  return text;
}

}  // namespace

size_t Responder::answer(dns::Bytes message, const net::Ip& from, Transport transport, MonoTime now,
                         WallTime wall, std::span<uint8_t> out) const {
  const bool tcp = transport == Transport::tcp;
  const auto silence = [&] {
    metrics_.count(tcp, Outcome::silence);
    return size_t{0};
  };
  dns::Query query;
  const dns::QueryFault fault = dns::parse_query(message, query);
  if (fault == dns::QueryFault::drop) return silence();

  const auto unix_time = static_cast<uint32_t>(wall.seconds());
  dns::Edns reply{.udp_size = kUdpSize};
  bool proved = tcp;
  bool cookie_holds = false;
  if (query.edns) {
    reply.dnssec_ok = query.edns->dnssec_ok;  // RFC 3225 section 3
    if (fault == dns::QueryFault::none && query.edns->version == 0) {
      if (query.edns->cookie) {
        const auto& secrets = snapshot_.world->secrets;
        cookie_holds = dns::cookie_valid(secrets, *query.edns->cookie, bytes_of(from), unix_time);
        proved = proved || cookie_holds;
        reply.cookie = dns::make_cookie(secrets.front(), query.edns->cookie->client, bytes_of(from),
                                        unix_time);
      }
      reply.subnet = query.edns->subnet;
    }
  }
  size_t limit = kMaxAnswer;
  if (!tcp) {
    limit = query.edns ? std::clamp<size_t>(query.edns->udp_size, 512, kUdpSize) : 512;
  }
  MessageWriter writer(out, limit);
  writer.set_id(query.header.id);
  const auto flags = static_cast<uint16_t>(
      dns::flag::qr | (query.header.flags & (kOpcodeMask | dns::flag::rd | dns::flag::cd)));
  writer.set_flags(flags);
  const auto finish = [&](Outcome outcome) {
    if (query.edns) BW_CHECK(writer.add_edns(reply));
    metrics_.count(tcp, outcome);
    return writer.finish();
  };

  const bool allowed = proved || rates_.allow(from, now);
  if (fault != dns::QueryFault::none) {
    if (!allowed) return silence();
    const bool formerr = fault == dns::QueryFault::formerr;
    writer.set_rcode(formerr ? Rcode::formerr : Rcode::notimp);
    if (formerr && query.has_question) BW_CHECK(writer.add_question(query.question));
    return finish(formerr ? Outcome::formerr : Outcome::notimp);
  }
  if (query.has_question) BW_CHECK(writer.add_question(query.question));
  if (query.edns) {
    if (query.edns->version != 0) {  // RFC 6891 section 6.1.3
      if (!allowed) return silence();
      writer.set_rcode(Rcode::badvers);
      return finish(Outcome::badvers);
    }
    writer.reserve(MessageWriter::edns_size(reply));
  }
  if (!query.has_question) {  // RFC 7873 section 5.4; no larger than what over the limit is told
    reply.subnet.reset();
    const bool badcookie = query.edns->cookie->server_size > 0 && !cookie_holds;
    if (badcookie) writer.set_rcode(Rcode::badcookie);
    return finish(Outcome::cookie);
  }
  if (reply.subnet) metrics_.with_subnet.add();
  if (!allowed) {  // a real client comes back over TCP or with its cookie
    writer.truncate();
    return finish(Outcome::limited);
  }
  const uint16_t type = query.question.type;
  if (query.question.klass != dns::kClassIn || type == dns::type::axfr || type == dns::type::ixfr ||
      type == dns::type::opt) {
    writer.set_rcode(Rcode::refused);
    return finish(Outcome::refused);
  }
  Answering answering(snapshot_, query, from, writer);
  const Outcome outcome = answering.answer();
  if (answering.authoritative()) {
    writer.set_flags(static_cast<uint16_t>(flags | dns::flag::aa));
  }
  if (!answering.fits()) {
    writer.truncate();
    metrics_.truncated.add();
  }
  if (answering.all_down()) metrics_.all_down.add();
  if (reply.subnet) reply.subnet->scope = answering.scope();
  return finish(outcome);
}

}  // namespace bw::geo
