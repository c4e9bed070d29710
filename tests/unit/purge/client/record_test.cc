#include "purge/client/record.h"

#include <catch2/catch.hpp>

using namespace bw::purge;

namespace {
Record sample() {
  Record r;
  r.position = Position::of(3, 77);
  r.time_ms = 1'700'000'000'123;
  r.kind = Kind::tag;
  r.mode = Mode::soft;
  r.site = "shop";
  r.text = "product-42 \"é\n";
  r.actor = "ops";
  r.request = "r1";
  r.chain = next_chain({}, r);
  return r;
}
}  // namespace

TEST_CASE("position: EPOCH.SEQ there and back, as a whole ordered by epoch first") {
  CHECK(Position::of(2, 9).text() == "2.9");
  CHECK(Position::parse("65535.281474976710655")->value == ~uint64_t{0});
  CHECK(Position::of(1, 900) < Position::of(2, 901));
  for (const char* bad : {"", "1", "1.", ".1", "1.2.3", "65536.1", "1.281474976710656", "-1.2",
                          "01.2", "1.02", "1. 2", "a.b"}) {
    CAPTURE(bad);
    CHECK_FALSE(Position::parse(bad));
  }
}

TEST_CASE("record: both forms bring back what was written") {
  const Record r = sample();
  std::string bytes;
  encode_record(bytes, r);
  std::string_view in = bytes;
  CHECK(*decode_record(in) == r);
  CHECK(in.empty());
  std::string line;
  append_record_line(line, r);
  const auto parsed = parse_log_line(line);
  REQUIRE(parsed.ok());
  CHECK(parsed->record == r);
}

TEST_CASE("record: every shortened form is malformed, none is read past its end") {
  std::string bytes;
  encode_record(bytes, sample());
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string_view in(bytes.data(), n);
    CHECK_FALSE(decode_record(in).ok());
  }
}

TEST_CASE("record: an unknown kind keeps its name, and so its chain") {
  Record r = sample();
  r.kind = Kind::unknown;
  r.kind_name = "galaxy";
  r.chain = next_chain({}, r);
  std::string line;
  append_record_line(line, r);
  const auto parsed = parse_log_line(line);
  REQUIRE(parsed.ok());
  CHECK(parsed->record.kind == Kind::unknown);
  CHECK(next_chain({}, parsed->record) == r.chain);
}

TEST_CASE("chain: any changed part and any other past gives another chain") {
  const Record r = sample();
  Chain other{};
  other[0] = 1;
  CHECK(next_chain(other, r) != r.chain);
  Record changed = r;
  changed.text += "x";
  CHECK(next_chain({}, changed) != r.chain);
  changed = r;
  changed.mode = Mode::hard;
  CHECK(next_chain({}, changed) != r.chain);
}

TEST_CASE("epoch: says where the one before ended and whether all of it is there") {
  const EpochStart start{{Position::of(1, 50), sample().chain}, true};
  const auto read = parse_epoch_text(epoch_text(start));
  REQUIRE(read);
  CHECK(read->before == start.before);
  CHECK(read->complete);
  CHECK_FALSE(parse_epoch_text("1.2 00 complete"));
  CHECK_FALSE(parse_epoch_text(""));
}

TEST_CASE("digest: with and without a nonce; broken lines are malformed") {
  std::string line;
  append_digest_line(line, {{Position::of(1, 2), sample().chain}, 99});
  auto parsed = parse_log_line(line);
  REQUIRE(parsed.ok());
  CHECK(parsed->what == LogLine::What::digest);
  CHECK(parsed->digest.nonce == 99);
  for (const char* bad : {"", "{}", "[]", "{\"digest\":1}", "{\"digest\":{\"e\":1,\"s\":2}}",
                          "{\"e\":1,\"s\":-1,\"c\":\"00\"}", "{\"digest\":{\"e\":70000}}"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_log_line(bad).ok());
  }
}
