#include "purge/client/log_stream.h"

#include <catch2/catch.hpp>

#include "purge/client/service_link.h"

using namespace bw;
using namespace bw::purge;

namespace {

using What = LogStream::Step::What;

// A log as a service writes it.
struct Script {
  std::vector<Record> records;
  LogPoint end;

  Record& add(Record record) {
    record.chain = next_chain(end.chain, record);
    end = {record.position, record.chain};
    records.push_back(std::move(record));
    return records.back();
  }
  Record& tag(const char* text) {
    Record record;
    record.position = Position::of(end.position.epoch(), end.position.sequence() + 1);
    record.site = "shop";
    record.text = text;
    return add(std::move(record));
  }
  Record& epoch(uint32_t number, bool complete) {
    Record record;
    record.position = Position::of(number, end.position.sequence() + 1);
    record.kind = Kind::epoch;
    record.text = epoch_text({end, complete});
    return add(std::move(record));
  }
  LogPoint point(size_t i) const { return {records[i].position, records[i].chain}; }
  std::string lines(size_t from) const {
    std::string text;
    for (size_t i = from; i < records.size(); ++i) append_record_line(text, records[i]);
    return text;
  }
  std::string digest() const {
    std::string text;
    append_digest_line(text, {end, 7});
    return text;
  }
};

Script three_tags() {
  Script script;
  script.epoch(1, true);
  script.tag("a");
  script.tag("b");
  script.tag("c");
  return script;
}

}  // namespace

TEST_CASE("log stream: records that are next come as one batch, cut anywhere") {
  const Script script = three_tags();
  const std::string text = script.lines(1) + script.digest();
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    LogStream stream(script.point(0));
    std::vector<Record> got;
    bool digest = false;
    for (const std::string& piece : {text.substr(0, cut), text.substr(cut)}) {
      stream.feed(piece);
      for (;;) {
        const auto step = stream.next();
        REQUIRE(step.ok());
        if (step->what == What::more) break;
        got.insert(got.end(), step->records.begin(), step->records.end());
        digest = digest || step->what == What::digest;
      }
    }
    REQUIRE(got.size() == 3);
    CHECK(got[2] == script.records[3]);
    CHECK(digest);
    CHECK(stream.end() == script.end);
  }
}

TEST_CASE("log stream: what was verified before a broken line is told before the stream ends") {
  Script script = three_tags();
  std::string lost;
  append_record_line(lost, script.tag("d"));
  std::string far;
  append_record_line(far, script.tag("e"));
  Record forged = script.records[4];
  forged.text = "other";
  std::string other_text;
  append_record_line(other_text, forged);
  Script three = three_tags();
  struct Row {
    const char* name;
    std::string line;
  };
  const Row rows[] = {
      {"not JSON", "{\n"},
      {"a gap", far},
      {"a forged text", other_text},
      {"a record doubled", three.lines(3)},
      {"a digest ahead", script.digest()},
      {"a line without an end", std::string(kMaxRecordLine + 1, 'x')},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    LogStream stream(three.point(0));
    stream.feed(three.lines(1) + row.line);
    const auto told = stream.next();
    REQUIRE(told.ok());
    CHECK(told->what == What::records);
    CHECK(told->records.size() == 3);
    CHECK_FALSE(stream.next().ok());
    // Asked again from there nothing is missing.
    CHECK(stream.end() == three.end);
  }
}

TEST_CASE("log stream: a complete epoch goes on, every other one is a reset at its first record") {
  for (const bool complete : {true, false}) {
    Script script = three_tags();
    const LogPoint before = script.end;
    script.epoch(5, complete);
    script.tag("d");
    LogStream stream(before);
    stream.feed(script.lines(4));
    const auto first = stream.next();
    REQUIRE(first.ok());
    CHECK(first->what == (complete ? What::records : What::reset));
    if (!complete) CHECK(first->point == script.point(4));
    if (!complete) {
      const auto second = stream.next();
      REQUIRE(second.ok());
      CHECK(second->records.size() == 1);
    }
    CHECK(stream.end()->position == script.records[complete ? 4 : 5].position);
  }
}

TEST_CASE("log stream: a complete epoch of another history is a reset") {
  Script script = three_tags();
  script.epoch(2, true);
  LogPoint mine = script.point(3);
  mine.chain[0] ^= 1;
  LogStream stream(mine);
  stream.feed(script.lines(4));
  const auto step = stream.next();
  REQUIRE(step.ok());
  CHECK(step->what == What::reset);
}

TEST_CASE("log stream: without a place the first digest says where to begin") {
  const Script script = three_tags();
  LogStream stream(std::nullopt);
  stream.feed(script.digest());
  const auto step = stream.next();
  REQUIRE(step.ok());
  CHECK(step->what == What::reset);
  CHECK(step->point == script.end);
  LogStream early(std::nullopt);
  early.feed(script.lines(1));
  CHECK_FALSE(early.next().ok());
}

TEST_CASE("log stream: an end below ours, or on another chain, ends it") {
  const Script script = three_tags();
  LogStream ahead(LogPoint{Position::of(1, 900), script.end.chain});
  ahead.feed(script.digest());
  CHECK_FALSE(ahead.next().ok());
  LogPoint fork = script.end;
  fork.chain[3] ^= 1;
  LogStream other(fork);
  other.feed(script.digest());
  CHECK_FALSE(other.next().ok());
}

TEST_CASE("service URL: scheme, host and port; nothing else") {
  const auto url = parse_service_url("https://[::1]:9443/");
  REQUIRE(url);
  CHECK(url->https);
  CHECK(url->host == "::1");
  CHECK(url->port == 9443);
  CHECK(parse_service_url("http://purge.example")->port == 80);
  for (const char* bad :
       {"", "purge:9443", "ftp://h", "http://", "http://h:0", "http://h:70000", "http://h/path",
        "http://u@h", "http://[::1", "http://[x]", "http://h:"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_service_url(bad));
  }
}
