#include "core/dns/message.h"

#include <algorithm>

namespace bw::dns {
namespace {

constexpr uint16_t kOptionSubnet = 8;
constexpr uint16_t kOptionCookie = 10;

Error malformed(std::string_view text) {
  return Error{.kind = Error::Kind::malformed, .side = Error::Side::client, .text = text};
}

uint16_t get16(Bytes bytes, size_t at) { return uint16_t(bytes[at] << 8 | bytes[at + 1]); }
uint32_t get32(Bytes bytes, size_t at) {
  return uint32_t(get16(bytes, at)) << 16 | get16(bytes, at + 2);
}

// RFC 7871 section 6: the address is exactly as long as the prefix needs, the rest of its last byte
// is zero, and a query's scope is zero (section 7.1.1: FORMERR otherwise).
Result<ClientSubnet> read_subnet(Bytes option, bool is_query) {
  if (option.size() < 4) return malformed("client subnet is too short");
  ClientSubnet subnet{.family = get16(option, 0), .source = option[2], .scope = option[3]};
  unsigned bits;
  switch (subnet.family) {
    case 0:
      bits = 0;
      break;
    case 1:
      bits = 32;
      break;
    case 2:
      bits = 128;
      break;
    default:
      return malformed("client subnet of an unknown family");
  }
  if (subnet.source > bits) return malformed("client subnet's prefix is too long");
  if (subnet.scope > bits || (is_query && subnet.scope != 0)) {
    return malformed("client subnet's scope is out of range");
  }
  Bytes address = option.subspan(4);
  if (address.size() != subnet.address_size()) return malformed("client subnet's address size");
  std::copy(address.begin(), address.end(), subnet.address.begin());
  if (subnet.source % 8 != 0 && (address.back() & (0xff >> (subnet.source % 8))) != 0) {
    return malformed("client subnet has bits past its prefix");
  }
  return subnet;
}

// RFC 7873 section 5.2.2: 8 bytes, or 16 to 40; anything else is FORMERR.
Result<Cookie> read_cookie(Bytes option) {
  if (option.size() != 8 && (option.size() < 16 || option.size() > 40)) {
    return malformed("cookie's size");
  }
  Cookie cookie;
  std::copy_n(option.begin(), 8, cookie.client.begin());
  std::copy(option.begin() + 8, option.end(), cookie.server.begin());
  cookie.server_size = uint8_t(option.size() - 8);
  return cookie;
}

Result<Edns> read_options(const Record& opt, bool is_query) {
  Edns edns;
  edns.udp_size = std::max<uint16_t>(opt.klass, 512);  // RFC 6891 section 6.2.3
  edns.extended_rcode = uint8_t(opt.ttl >> 24);
  edns.version = uint8_t(opt.ttl >> 16);
  edns.dnssec_ok = (opt.ttl & 0x8000) != 0;
  if (!opt.name.is_root()) return malformed("OPT record's name is not the root");
  // Options of a version we don't know may mean anything (RFC 6891 section 6.1.3: BADVERS).
  if (edns.version != 0) return edns;
  for (size_t at = 0; at < opt.data.size();) {
    if (opt.data.size() - at < 4) return malformed("EDNS option is cut off");
    uint16_t code = get16(opt.data, at);
    size_t length = get16(opt.data, at + 2);
    at += 4;
    if (opt.data.size() - at < length) return malformed("EDNS option is cut off");
    Bytes option = opt.data.subspan(at, length);
    at += length;
    if (code == kOptionSubnet) {
      if (edns.subnet) return malformed("two client subnets");
      Result<ClientSubnet> subnet = read_subnet(option, is_query);
      if (!subnet) return subnet.error();
      edns.subnet = *subnet;
    } else if (code == kOptionCookie && !edns.cookie) {  // RFC 7873 section 5.2: the first counts
      Result<Cookie> cookie = read_cookie(option);
      if (!cookie) return cookie.error();
      edns.cookie = *cookie;
    }
  }
  return edns;
}

}  // namespace

Result<Header> read_header(Bytes message) {
  if (message.size() < kHeaderSize) return malformed("message is shorter than a header");
  Header header{.id = get16(message, 0), .flags = get16(message, 2), .counts = {}};
  for (size_t i = 0; i < 4; ++i) header.counts[i] = get16(message, 4 + 2 * i);
  return header;
}

Result<Question> read_question(Bytes message, size_t& offset) {
  size_t at = offset;
  Result<Name> name = Name::read(message, at);
  if (!name) return name.error();
  if (message.size() - at < 4) return malformed("question is cut off");
  Question question{.name = *name, .type = get16(message, at), .klass = get16(message, at + 2)};
  offset = at + 4;
  return question;
}

Result<Record> read_record(Bytes message, size_t& offset) {
  size_t at = offset;
  Result<Name> name = Name::read(message, at);
  if (!name) return name.error();
  if (message.size() - at < 10) return malformed("record is cut off");
  size_t length = get16(message, at + 8);
  if (message.size() - at - 10 < length) return malformed("record's data is cut off");
  Record record{.name = *name,
                .type = get16(message, at),
                .klass = get16(message, at + 2),
                .ttl = get32(message, at + 4),
                .data = message.subspan(at + 10, length),
                .data_offset = at + 10};
  offset = at + 10 + length;
  return record;
}

Result<Edns> read_edns(const Record& opt) { return read_options(opt, false); }

QueryFault parse_query(Bytes message, Query& query) {
  Result<Header> header = read_header(message);
  if (!header) return QueryFault::drop;
  query.header = *header;
  query.has_question = false;
  query.edns.reset();
  // Never answer an answer: two servers would talk for ever.
  if ((header->flags & flag::qr) != 0) return QueryFault::drop;
  if (header->opcode() != 0) return QueryFault::notimp;
  if (header->counts[0] > 1) return QueryFault::formerr;
  size_t at = kHeaderSize;
  if (header->counts[0] == 1) {
    Result<Question> question = read_question(message, at);
    if (!question) return QueryFault::formerr;
    query.question = *question;
    query.has_question = true;
  }
  unsigned records = 0u + header->counts[1] + header->counts[2] + header->counts[3];
  unsigned additional_from = 0u + header->counts[1] + header->counts[2];
  for (unsigned i = 0; i < records; ++i) {
    Result<Record> record = read_record(message, at);
    if (!record) return QueryFault::formerr;
    if (record->type != type::opt) continue;
    if (query.edns || i < additional_from) return QueryFault::formerr;  // RFC 6891 section 6.1.1
    query.edns.emplace();
    Result<Edns> edns = read_options(*record, true);
    if (!edns) return QueryFault::formerr;
    query.edns = *edns;
  }
  // RFC 7873 section 5.4: no question is fine beside a COOKIE option.
  const bool asks = query.has_question || (query.edns && query.edns->cookie);
  return asks && at == message.size() ? QueryFault::none : QueryFault::formerr;
}

MessageWriter::MessageWriter(std::span<uint8_t> out, size_t limit)
    : out_(out), limit_(std::min(out.size(), limit)) {
  BW_CHECK(limit_ >= kHeaderSize);
}

bool MessageWriter::undo(Mark mark) {
  at_ = mark.at;
  points_ = mark.points;
  return false;
}

bool MessageWriter::u8(uint8_t value) {
  if (limit_ < at_ + reserved_ + 1) return false;
  out_[at_++] = value;
  return true;
}
bool MessageWriter::u16(uint16_t value) { return u8(uint8_t(value >> 8)) && u8(uint8_t(value)); }
bool MessageWriter::u32(uint32_t value) {
  return u16(uint16_t(value >> 16)) && u16(uint16_t(value));
}
bool MessageWriter::bytes(Bytes value) {
  if (limit_ < at_ + reserved_ + value.size()) return false;
  std::copy(value.begin(), value.end(), out_.begin() + ptrdiff_t(at_));
  at_ += value.size();
  return true;
}

bool MessageWriter::name(const Name& name) {
  Bytes written(out_.data(), at_);
  Name rest = name;
  while (!rest.is_root()) {
    for (size_t i = 0; i < points_; ++i) {
      size_t at = point_[i];
      Result<Name> there = Name::read(written, at);
      if (there.ok() && *there == rest) return u16(uint16_t(0xc000 | point_[i]));
    }
    // Only what a 14-bit pointer reaches can be a target.
    if (points_ < point_.size() && at_ < 0x4000) point_[points_++] = uint16_t(at_);
    std::string_view label = rest.first_label();
    if (!u8(uint8_t(label.size())) ||
        !bytes(Bytes(reinterpret_cast<const uint8_t*>(label.data()), label.size()))) {
      return false;
    }
    rest = rest.parent();
  }
  return u8(0);
}

bool MessageWriter::start_record(const Name& owner, uint16_t type, uint32_t ttl,
                                 size_t& length_at) {
  if (!name(owner) || !u16(type) || !u16(kClassIn) || !u32(ttl)) return false;
  length_at = at_;
  return u16(0);
}

void MessageWriter::end_record(Section section, size_t length_at) {
  size_t length = at_ - length_at - 2;
  out_[length_at] = uint8_t(length >> 8);
  out_[length_at + 1] = uint8_t(length);
  ++header_.counts[size_t(section)];
}

bool MessageWriter::add_question(const Question& question) {
  Mark before = mark();
  if (!name(question.name) || !u16(question.type) || !u16(question.klass)) return undo(before);
  ++header_.counts[0];
  question_end_ = at_;
  question_points_ = points_;
  return true;
}

bool MessageWriter::add_record(Section section, const Name& owner, uint16_t type, uint32_t ttl,
                               Bytes data) {
  Mark before = mark();
  size_t length_at = 0;
  if (data.size() > 0xffff || !start_record(owner, type, ttl, length_at) || !bytes(data)) {
    return undo(before);
  }
  end_record(section, length_at);
  return true;
}

bool MessageWriter::add_name_record(Section section, const Name& owner, uint16_t type, uint32_t ttl,
                                    const Name& target) {
  Mark before = mark();
  size_t length_at = 0;
  if (!start_record(owner, type, ttl, length_at) || !name(target)) return undo(before);
  end_record(section, length_at);
  return true;
}

bool MessageWriter::add_soa(Section section, const Name& owner, uint32_t ttl, const Soa& soa) {
  Mark before = mark();
  size_t length_at = 0;
  if (!start_record(owner, type::soa, ttl, length_at) || !name(soa.mname) || !name(soa.rname) ||
      !u32(soa.serial) || !u32(soa.refresh) || !u32(soa.retry) || !u32(soa.expire) ||
      !u32(soa.minimum)) {
    return undo(before);
  }
  end_record(section, length_at);
  return true;
}

size_t MessageWriter::edns_size(const Edns& edns) {
  size_t size = 11;
  if (edns.subnet) size += 8 + edns.subnet->address_size();
  if (edns.cookie) size += 12u + edns.cookie->server_size;
  return size;
}

bool MessageWriter::add_edns(const Edns& edns) {
  reserved_ = 0;
  Mark before = mark();
  size_t size = edns_size(edns);
  if (limit_ < at_ + size) return undo(before);
  bool fits = u8(0) && u16(type::opt) && u16(edns.udp_size) && u8(uint8_t(uint16_t(rcode_) >> 4)) &&
              u8(edns.version) && u16(edns.dnssec_ok ? 0x8000 : 0) && u16(uint16_t(size - 11));
  if (edns.subnet) {
    const ClientSubnet& subnet = *edns.subnet;
    fits = fits && u16(kOptionSubnet) && u16(uint16_t(4 + subnet.address_size())) &&
           u16(subnet.family) && u8(subnet.source) && u8(subnet.scope) &&
           bytes(Bytes(subnet.address.data(), subnet.address_size()));
  }
  if (edns.cookie) {
    const Cookie& cookie = *edns.cookie;
    fits = fits && u16(kOptionCookie) && u16(uint16_t(8 + cookie.server_size)) &&
           bytes(cookie.client) && bytes(Bytes(cookie.server.data(), cookie.server_size));
  }
  BW_CHECK(fits);
  ++header_.counts[3];
  return true;
}

void MessageWriter::truncate() {
  at_ = question_end_;
  points_ = question_points_;
  header_.counts = {header_.counts[0], 0, 0, 0};
  header_.flags |= flag::tc;
}

size_t MessageWriter::finish() {
  header_.flags = uint16_t((header_.flags & 0xfff0) | (uint16_t(rcode_) & 15));
  const size_t end = at_;
  reserved_ = 0;
  at_ = 0;
  bool fits = u16(header_.id) && u16(header_.flags);
  for (uint16_t count : header_.counts) fits = fits && u16(count);
  BW_CHECK(fits);
  at_ = end;
  return end;
}

}  // namespace bw::dns
