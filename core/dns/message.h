// The wire form of DNS messages: reading queries, writing answers, and EDNS with client subnet and
// cookies.
//
// Span based, no allocation. Bounds: what the spans hold; every length is checked before it is
// used. See: RFC 1035 section 4, RFC 6891 (EDNS), RFC 7871 (client subnet), RFC 7873 (cookies).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/dns/name.h"

namespace bw::dns {

namespace type {
inline constexpr uint16_t a = 1, ns = 2, cname = 5, soa = 6, hinfo = 13, txt = 16, aaaa = 28,
                          opt = 41, ds = 43, ixfr = 251, axfr = 252, any = 255, caa = 257;
}
inline constexpr uint16_t kClassIn = 1;

enum class Rcode : uint16_t {
  noerror = 0,
  formerr = 1,
  servfail = 2,
  nxdomain = 3,
  notimp = 4,
  refused = 5,
  badvers = 16,  // these need EDNS: their upper bits travel there
  badcookie = 23,
};

namespace flag {
inline constexpr uint16_t qr = 0x8000, aa = 0x0400, tc = 0x0200, rd = 0x0100, cd = 0x0010;
}

struct Header {
  uint16_t id = 0;
  uint16_t flags = 0;
  std::array<uint16_t, 4> counts{};  // question, answer, authority, additional

  unsigned opcode() const { return (flags >> 11) & 15u; }
  unsigned rcode() const { return flags & 15u; }
};
inline constexpr size_t kHeaderSize = 12;

struct Question {
  Name name;
  uint16_t type = 0;
  uint16_t klass = kClassIn;
};

// RFC 7871 section 6. family 0 is dig's way to say "no subnet" (source 0, no address).
struct ClientSubnet {
  uint16_t family = 0;  // 1: IPv4, 2: IPv6
  uint8_t source = 0;   // prefix lengths in bits
  uint8_t scope = 0;
  std::array<uint8_t, 16> address{};  // bits past `source` are zero

  size_t address_size() const { return (source + 7u) / 8u; }
};

// RFC 7873 section 4.
struct Cookie {
  std::array<uint8_t, 8> client{};
  std::array<uint8_t, 32> server{};
  uint8_t server_size = 0;  // 0, or 8 to 32
};

struct Edns {
  uint16_t udp_size = 512;
  uint8_t version = 0;
  uint8_t extended_rcode = 0;  // upper eight bits
  bool dnssec_ok = false;
  std::optional<ClientSubnet> subnet;
  std::optional<Cookie> cookie;
};

struct Query {
  Header header;
  Question question;          // valid when has_question
  bool has_question = false;  // without: a question for a cookie (RFC 7873 section 5.4)
  std::optional<Edns> edns;   // also of a malformed query, when an OPT record was found
};

// What to do with bytes that came to the DNS port.
enum class QueryFault : uint8_t {
  none,
  drop,     // no header, or a response: silence
  formerr,  // `query.header` is valid
  notimp,   // an opcode we don't have
};
QueryFault parse_query(Bytes message, Query& query);

// One record as it stands in a message. `data_offset`: for names inside the data, which may be
// compressed.
struct Record {
  Name name;
  uint16_t type = 0;
  uint16_t klass = 0;
  uint32_t ttl = 0;
  Bytes data;
  size_t data_offset = 0;
};
Result<Header> read_header(Bytes message);
Result<Question> read_question(Bytes message, size_t& offset);
Result<Record> read_record(Bytes message, size_t& offset);
// The options of an OPT record. Malformed options are errors; unknown ones are passed over.
Result<Edns> read_edns(const Record& opt);

struct Soa {
  Name mname;
  Name rname;
  uint32_t serial = 0, refresh = 0, retry = 0, expire = 0, minimum = 0;
};

enum class Section : uint8_t { question, answer, authority, additional };

// Writes one message into a span. Each add answers false, and changes nothing, when it doesn't fit.
// Sections are written in their order; owner names and names in NS, CNAME and SOA data are
// compressed.
class MessageWriter {
 public:
  // `limit`: bytes of `out` that may be used, at least kHeaderSize.
  MessageWriter(std::span<uint8_t> out, size_t limit);

  void set_id(uint16_t id) { header_.id = id; }
  void set_flags(uint16_t flags) { header_.flags = flags; }
  void set_rcode(Rcode rcode) { rcode_ = rcode; }
  // Bytes kept free for the OPT record.
  void reserve(size_t bytes) { reserved_ = bytes; }

  bool add_question(const Question& question);
  bool add_record(Section section, const Name& name, uint16_t type, uint32_t ttl, Bytes data);
  bool add_name_record(Section section, const Name& name, uint16_t type, uint32_t ttl,
                       const Name& target);
  bool add_soa(Section section, const Name& name, uint32_t ttl, const Soa& soa);
  // Frees the reserve. `edns.extended_rcode` is taken from set_rcode.
  bool add_edns(const Edns& edns);
  // Drops all records and sets TC; the question stays.
  void truncate();

  uint16_t count(Section section) const { return header_.counts[size_t(section)]; }
  // Writes the header; the size of the message.
  size_t finish();

  // The size of an OPT record with these options.
  static size_t edns_size(const Edns& edns);

 private:
  struct Mark {
    size_t at;
    size_t points;
  };
  Mark mark() const { return {at_, points_}; }
  bool undo(Mark mark);
  bool u8(uint8_t value);
  bool u16(uint16_t value);
  bool u32(uint32_t value);
  bool bytes(Bytes value);
  bool name(const Name& name);
  bool start_record(const Name& name, uint16_t type, uint32_t ttl, size_t& length_at);
  void end_record(Section section, size_t length_at);

  std::span<uint8_t> out_;
  size_t limit_;
  size_t reserved_ = 0;
  size_t at_ = kHeaderSize;
  size_t question_end_ = kHeaderSize;
  size_t question_points_ = 0;
  Header header_;
  Rcode rcode_ = Rcode::noerror;
  // Offsets of names written, targets of compression.
  std::array<uint16_t, 32> point_{};
  size_t points_ = 0;
};

}  // namespace bw::dns
