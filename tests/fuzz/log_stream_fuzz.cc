// Any bytes as the log's stream and as a record of its file: no piece changes what is read, and
// what is read is written back.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "purge/client/log_stream.h"

using namespace bw::purge;

namespace {

struct Seen {
  std::vector<Record> records;
  size_t digests = 0;
  bool broken = false;
};

void take(LogStream& stream, Seen& seen) {
  while (!seen.broken) {
    bw::Result<LogStream::Step> step = stream.next();
    seen.broken = !step.ok();
    if (seen.broken || step->what == LogStream::Step::What::more) return;
    seen.records.insert(seen.records.end(), step->records.begin(), step->records.end());
    seen.digests += step->what == LogStream::Step::What::digest ? 1 : 0;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  LogStream whole(std::nullopt);
  Seen at_once;
  whole.feed(text);
  take(whole, at_once);
  LogStream parts(std::nullopt);
  Seen in_parts;
  const size_t cut = size == 0 ? 0 : data[0] % size;
  for (const std::string_view part : {text.substr(0, cut), text.substr(cut)}) {
    parts.feed(part);
    take(parts, in_parts);
  }
  BW_CHECK(at_once.broken == in_parts.broken && at_once.digests == in_parts.digests);
  BW_CHECK(at_once.records == in_parts.records);

  const bw::Result<LogLine> line = parse_log_line(text.substr(0, text.find('\n')));
  if (line.ok()) {
    std::string written;
    if (line->what == LogLine::What::record) {
      append_record_line(written, line->record);
    } else {
      append_digest_line(written, line->digest);
    }
    const bw::Result<LogLine> again =
        parse_log_line(std::string_view(written).substr(0, written.size() - 1));
    BW_CHECK(again.ok() && again->what == line->what && again->record == line->record);
    BW_CHECK(again->digest.end == line->digest.end && again->digest.nonce == line->digest.nonce);
  }

  std::string_view in = text;
  const bw::Result<Record> record = decode_record(in);
  if (record.ok()) {
    std::string bytes;
    encode_record(bytes, *record);
    BW_CHECK(bytes == text.substr(0, size - in.size()));
  }
  return 0;
}
