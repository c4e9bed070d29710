#include "core/dns/resolve.h"

#include <algorithm>

namespace bw::dns {
namespace {

constexpr uint16_t kUdpSize = 1232;
constexpr int kMaxAliases = 8;
constexpr unsigned kMaxRecords = 256;

Error malformed(std::string_view text) {
  return Error{.kind = Error::Kind::malformed, .side = Error::Side::upstream, .text = text};
}

std::string_view next_word(std::string_view& line) {
  size_t start = line.find_first_not_of(" \t\r");
  if (start == std::string_view::npos) return line = {};
  size_t end = line.find_first_of(" \t\r", start);
  std::string_view word = line.substr(start, end - start);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end);
  return word;
}

std::string_view next_line(std::string_view& text) {
  size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line.substr(0, line.find_first_of("#;"));
}

bool equal_name(std::string_view a, std::string_view b) {
  auto bare = [](std::string_view name) {
    return !name.empty() && name.back() == '.' ? name.substr(0, name.size() - 1) : name;
  };
  a = bare(a);
  b = bare(b);
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// The least of the SOA record's TTL and its minimum field (RFC 2308 section 5).
Result<uint32_t> negative_ttl(Bytes message, const Record& soa) {
  size_t at = soa.data_offset;
  size_t end = at + soa.data.size();
  for (int i = 0; i < 2; ++i) {
    Result<Name> name = Name::read(message.first(end), at);
    if (!name) return name.error();
  }
  if (end - at != 20) return malformed("SOA record's size");
  uint32_t minimum = 0;
  for (size_t i = 16; i < 20; ++i) minimum = minimum << 8 | message[at + i];
  return std::min(minimum, soa.ttl);
}

}  // namespace

Result<size_t> build_query(uint16_t id, const Name& name, uint16_t type, std::span<uint8_t> out) {
  if (out.size() < 300) return Error{.kind = Error::Kind::too_large, .text = "query buffer"};
  MessageWriter writer(out, out.size());
  writer.set_id(id);
  writer.set_flags(flag::rd);
  Edns edns;
  edns.udp_size = kUdpSize;
  BW_CHECK(writer.add_question({.name = name, .type = type}));
  BW_CHECK(writer.add_edns(edns));
  return writer.finish();
}

Result<Response> parse_response(Bytes message, uint16_t id, const Name& name, uint16_t type) {
  Result<Header> header = read_header(message);
  if (!header) return header.error();
  if (header->id != id || (header->flags & flag::qr) == 0 || header->counts[0] != 1) {
    return malformed("not an answer to our question");
  }
  size_t at = kHeaderSize;
  Result<Question> question = read_question(message, at);
  if (!question) return question.error();
  if (!(question->name == name) || question->type != type || question->klass != kClassIn) {
    return malformed("not an answer to our question");
  }
  Response response;
  if ((header->flags & flag::tc) != 0) {
    response.outcome = Response::Outcome::truncated;
    return response;
  }
  const unsigned rcode = header->rcode();
  if (rcode != 0 && rcode != unsigned(Rcode::nxdomain)) return response;
  const unsigned total = 0u + header->counts[1] + header->counts[2];
  if (total > kMaxRecords) {
    return Error{.kind = Error::Kind::too_large, .side = Error::Side::upstream, .text = "answer"};
  }
  std::vector<Record> answers;
  uint32_t soa_ttl = 0;
  for (unsigned i = 0; i < total; ++i) {
    Result<Record> record = read_record(message, at);
    if (!record) return record.error();
    if (record->klass != kClassIn) continue;
    if (i < header->counts[1]) {
      answers.push_back(*record);
    } else if (record->type == type::soa) {
      Result<uint32_t> ttl = negative_ttl(message, *record);
      if (!ttl) return ttl.error();
      soa_ttl = *ttl;
    }
  }
  Name owner = name;
  uint32_t ttl = UINT32_MAX;
  for (int hop = 0; hop <= kMaxAliases; ++hop) {
    const Record* alias = nullptr;
    for (const Record& record : answers) {
      if (!(record.name == owner)) continue;
      if (record.type == type::cname) alias = &record;
      const size_t size = type == type::aaaa ? 16 : 4;
      if (record.type != type || (type != type::a && type != type::aaaa)) continue;
      if (record.data.size() != size) return malformed("address record's size");
      if (response.addresses.size() == Response::kMaxAddresses) break;
      ResolvedAddress& address = response.addresses.emplace_back();
      address.v6 = type == type::aaaa;
      std::copy(record.data.begin(), record.data.end(), address.bytes.begin());
      ttl = std::min(ttl, record.ttl);
    }
    if (!response.addresses.empty() || alias == nullptr) break;
    size_t name_at = alias->data_offset;
    Result<Name> target = Name::read(message.first(name_at + alias->data.size()), name_at);
    if (!target) return target.error();
    owner = *target;
    ttl = std::min(ttl, alias->ttl);
  }
  if (!response.addresses.empty()) {
    response.outcome = Response::Outcome::addresses;
    response.ttl = ttl;
  } else {
    response.outcome = rcode == 0 ? Response::Outcome::nodata : Response::Outcome::nxdomain;
    response.ttl = soa_ttl;
  }
  return response;
}

std::vector<std::string> nameservers_of(std::string_view resolv_conf) {
  std::vector<std::string> found;
  while (!resolv_conf.empty() && found.size() < 3) {
    std::string_view line = next_line(resolv_conf);
    if (next_word(line) != "nameserver") continue;
    std::string_view address = next_word(line);
    if (!address.empty()) found.emplace_back(address);
  }
  return found;
}

std::vector<std::string> hosts_of(std::string_view hosts, std::string_view name) {
  std::vector<std::string> found;
  while (!hosts.empty()) {
    std::string_view line = next_line(hosts);
    std::string_view address = next_word(line);
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      if (!equal_name(word, name)) continue;
      found.emplace_back(address);
      break;
    }
  }
  return found;
}

}  // namespace bw::dns
