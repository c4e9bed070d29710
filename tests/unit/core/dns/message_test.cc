#include "core/dns/message.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace bw::dns;

namespace {

Name name(std::string_view text) { return *Name::parse(text); }

// A query for www.example A; `opt` options bytes (nullptr: no OPT record).
std::vector<uint8_t> query_bytes(const std::vector<uint8_t>* options, uint16_t flags = 0x0100) {
  std::vector<uint8_t> out = {0x12, 0x34, uint8_t(flags >> 8),        uint8_t(flags), 0, 1, 0, 0, 0,
                              0,    0,    uint8_t(options != nullptr)};
  const uint8_t question[] = {3,   'w', 'w', 'w', 7, 'e', 'x', 'a', 'm',
                              'p', 'l', 'e', 0,   0, 1,   0,   1};
  out.insert(out.end(), std::begin(question), std::end(question));
  if (options != nullptr) {
    const uint8_t opt[] = {0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, uint8_t(options->size())};
    out.insert(out.end(), std::begin(opt), std::end(opt));
    out.insert(out.end(), options->begin(), options->end());
  }
  return out;
}

}  // namespace

TEST_CASE("message: queries are sorted into answered, refused and dropped") {
  Query query;
  std::vector<uint8_t> none;
  CHECK(parse_query(query_bytes(nullptr), query) == QueryFault::none);
  CHECK(query.question.name.text() == "www.example");
  CHECK_FALSE(query.edns);
  CHECK(parse_query(query_bytes(&none), query) == QueryFault::none);
  REQUIRE(query.edns);
  CHECK(query.edns->udp_size == 1232);

  CHECK(parse_query(query_bytes(nullptr, 0x8100), query) == QueryFault::drop);    // a response
  CHECK(parse_query(query_bytes(nullptr, 0x2000), query) == QueryFault::notimp);  // NOTIFY
  std::vector<uint8_t> bytes = query_bytes(nullptr);
  CHECK(parse_query(Bytes(bytes.data(), 11), query) == QueryFault::drop);
  for (size_t size = 12; size < bytes.size(); ++size) {
    CHECK(parse_query(Bytes(bytes.data(), size), query) == QueryFault::formerr);
  }
  bytes.push_back(0);
  CHECK(parse_query(bytes, query) == QueryFault::formerr);  // bytes behind the message
  bytes = query_bytes(nullptr);
  bytes[5] = 2;
  CHECK(parse_query(bytes, query) == QueryFault::formerr);  // two questions
  bytes[5] = 0;
  CHECK(parse_query(bytes, query) == QueryFault::formerr);
  bytes = query_bytes(&none);
  bytes[11] = 2;
  bytes.insert(bytes.end(), {0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0});
  CHECK(parse_query(bytes, query) == QueryFault::formerr);  // two OPT records
  bytes = query_bytes(&none);
  bytes[11] = 0;
  bytes[7] = 1;
  CHECK(parse_query(bytes, query) == QueryFault::formerr);  // OPT in the answer section
}

TEST_CASE("message: client subnets of every length are read, and only well-formed ones") {
  for (int family = 0; family <= 3; ++family) {
    const int bits = family == 1 ? 32 : family == 2 ? 128 : 0;
    for (int source = 0; source <= 140; ++source) {
      for (int extra = -1; extra <= 1; ++extra) {
        const int size = (source + 7) / 8 + extra;
        if (size < 0) continue;
        std::vector<uint8_t> options = {
            0, 8, 0, uint8_t(4 + size), 0, uint8_t(family), uint8_t(source), 0};
        for (int i = 0; i < size; ++i) {
          const int left = source - 8 * i;
          const int last = left >= 8 ? 0xff : left > 0 ? 0xff << (8 - left) : 0;
          options.push_back(static_cast<uint8_t>(last & 0xff));
        }
        Query query;
        const bool good = family <= 2 && source <= bits && extra == 0;
        CAPTURE(family, source, extra);
        CHECK((parse_query(query_bytes(&options), query) == QueryFault::none) == good);
        if (good && source % 8 != 0) {
          options.back() |= 1;
          CHECK(parse_query(query_bytes(&options), query) == QueryFault::formerr);
        }
        if (good) {
          options[7] = 1;  // a scope in a query
          CHECK(parse_query(query_bytes(&options), query) == QueryFault::formerr);
        }
      }
    }
  }
  Query query;
  std::vector<uint8_t> cut = {0, 8, 0, 3, 0, 1, 0};
  CHECK(parse_query(query_bytes(&cut), query) == QueryFault::formerr);
  std::vector<uint8_t> past = {0, 8, 0, 9, 0, 1, 0, 0};
  CHECK(parse_query(query_bytes(&past), query) == QueryFault::formerr);
  std::vector<uint8_t> unknown = {0xfe, 0xed, 0, 2, 1, 2};
  CHECK(parse_query(query_bytes(&unknown), query) == QueryFault::none);
  std::vector<uint8_t> twice = {0, 8, 0, 4, 0, 1, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0};
  CHECK(parse_query(query_bytes(&twice), query) == QueryFault::formerr);
}

TEST_CASE("message: cookies are 8 bytes or 16 to 40") {
  for (size_t size = 0; size <= 48; ++size) {
    std::vector<uint8_t> options = {0, 10, 0, uint8_t(size)};
    options.resize(4 + size, 7);
    Query query;
    CAPTURE(size);
    const bool good = size == 8 || (size >= 16 && size <= 40);
    CHECK((parse_query(query_bytes(&options), query) == QueryFault::none) == good);
    if (good) CHECK(query.edns->cookie->server_size == size - 8);
  }
}

TEST_CASE("message: what is written is read back, compressed") {
  std::array<uint8_t, 512> out{};
  MessageWriter writer(out, out.size());
  writer.set_id(7);
  writer.set_flags(flag::qr | flag::aa);
  REQUIRE(writer.add_question({.name = name("Www.Example"), .type = type::a}));
  const uint8_t address[] = {192, 0, 2, 1};
  REQUIRE(writer.add_record(Section::answer, name("www.example"), type::a, 30, address));
  REQUIRE(writer.add_name_record(Section::authority, name("example"), type::ns, 60,
                                 name("ns1.example")));
  Soa soa{.mname = name("ns1.example"),
          .rname = name("hostmaster.example"),
          .serial = 5,
          .refresh = 1,
          .retry = 2,
          .expire = 3,
          .minimum = 4};
  REQUIRE(writer.add_soa(Section::authority, name("example"), 300, soa));
  Edns edns;
  edns.udp_size = 1232;
  edns.subnet = ClientSubnet{.family = 1, .source = 24, .scope = 20, .address = {198, 51, 100}};
  REQUIRE(writer.add_edns(edns));
  Bytes message(out.data(), writer.finish());
  CHECK(message.size() < 150);

  size_t at = 0;
  Header header = *read_header(message);
  CHECK(header.id == 7);
  CHECK(header.counts == std::array<uint16_t, 4>{1, 1, 2, 1});
  at = kHeaderSize;
  CHECK(read_question(message, at)->name.text() == "Www.Example");
  Record record = *read_record(message, at);
  CHECK(record.name.text() == "Www.Example");  // compressed to the question's own letters
  CHECK(record.data.size() == 4);
  record = *read_record(message, at);
  size_t inside = record.data_offset;
  CHECK(*Name::read(message, inside) == name("ns1.example"));
  record = *read_record(message, at);
  CHECK(record.type == type::soa);
  record = *read_record(message, at);
  Edns back = *read_edns(record);
  CHECK(back.udp_size == 1232);
  CHECK(back.subnet->scope == 20);
  CHECK(at == message.size());
}

TEST_CASE("message: a record that does not fit changes nothing, at every limit") {
  const std::vector<uint8_t> data(100, 1);
  for (size_t limit = 12; limit < 200; ++limit) {
    std::vector<uint8_t> out(limit);
    MessageWriter writer(out, limit);
    Edns edns;
    writer.reserve(MessageWriter::edns_size(edns));
    const bool question = writer.add_question({.name = name("a.b"), .type = type::txt});
    const bool record = writer.add_record(Section::answer, name("a.b"), type::txt, 1, data);
    if (!record) writer.truncate();
    CHECK(question == (limit >= 12 + 9 + 11));
    CHECK(record == (limit >= 12u + (question ? 9 : 0) + 11 + (question ? 112 : 115)));
    const bool opt = writer.add_edns(edns);
    CHECK(opt == (limit >= 12 + 11));
    CHECK(writer.finish() <= limit);
    CHECK(writer.count(Section::answer) == (record ? 1 : 0));
  }
}

TEST_CASE("message: no cut or changed byte of a full message reads past its end") {
  std::vector<uint8_t> options = {0,  8, 0, 7, 0, 1, 24, 0, 198, 51, 100, 0,
                                  10, 0, 8, 1, 2, 3, 4,  5, 6,   7,  8};
  const std::vector<uint8_t> bytes = query_bytes(&options);
  Query query;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::vector<uint8_t> changed = bytes;
      changed[i] = uint8_t(value);
      (void)parse_query(changed, query);
    }
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + ptrdiff_t(size));
    CHECK(parse_query(cut, query) != QueryFault::none);
  }
}
