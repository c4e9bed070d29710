// Record: one entry of the invalidation log, and its forms: on disk, on the wire, in the chain.
//
// Texts, already normalised by the service (lower-case host without port, no scheme, no fragment):
//   url     `host/path` (only the empty query), `host/path?query`, `host/path?*` (every query)
//   prefix  `host/path` or `/path` (every host of the site); whole path segments, so `/foo` hits
//           `/foo` and `/foo/bar`; with a last `*` it is a prefix of bytes
//   host    `host`
//   tag     the tag
//   all     empty: everything of the site
//   site    empty: the site entry itself (what forgetting raises)
//   epoch   `E.S CHAIN complete|incomplete`: where the epoch before ended; site is empty
// A kind this build doesn't know is `unknown`, its name kept: a node purges that site softly.
// Bounds: kMaxRecordText and kMaxRecordName; a line or frame beyond them is malformed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "purge/client/position.h"

namespace bw::purge {

// Hash of the chain before and this record: shows loss, reordering and a second writer.
using Chain = std::array<uint8_t, 16>;
std::string to_hex(const Chain& chain);
std::optional<Chain> parse_chain(std::string_view text);

enum class Kind : uint8_t { url, prefix, host, tag, group, site, all, epoch, unknown };
enum class Mode : uint8_t { hard, soft };
std::string_view to_text(Kind kind);
std::string_view to_text(Mode mode);
Kind parse_kind(std::string_view text);

inline constexpr size_t kMaxRecordText = 8 * 1024;
inline constexpr size_t kMaxRecordName = 256;         // site, actor, request, reason, kind
inline constexpr size_t kMaxRecordLine = 128 * 1024;  // of NDJSON; every byte may be escaped

struct Record {
  Position position;
  Chain chain{};
  int64_t time_ms = 0;  // wall clock at the service
  Kind kind = Kind::tag;
  Mode mode = Mode::hard;
  std::string kind_name;  // of Kind::unknown only
  std::string site;
  std::string text;
  std::string actor;    // name of the token
  std::string request;  // id of the purge
  std::string reason;

  friend bool operator==(const Record&, const Record&) = default;
};

// The end of a prefix of the log.
struct LogPoint {
  Position position;
  Chain chain{};
  friend bool operator==(const LogPoint&, const LogPoint&) = default;
};

// What the first record of an epoch says of the epoch before.
struct EpochStart {
  LogPoint before;
  bool complete = false;  // nothing acknowledged can be missing before this record
};
std::string epoch_text(const EpochStart& start);
std::optional<EpochStart> parse_epoch_text(std::string_view text);

// The chain after `record` (whose own chain isn't looked at).
Chain next_chain(const Chain& before, const Record& record);

// Binary form, as the log file keeps it. decode takes one record off the front of `bytes`.
void encode_record(std::string& out, const Record& record);
Result<Record> decode_record(std::string_view& bytes);

struct Digest {
  LogPoint end;
  uint64_t nonce = 0;  // the last of this node's that the service knows; 0: none
};

// One line of the log's stream.
struct LogLine {
  enum class What : uint8_t { record, digest };
  What what = What::record;
  Record record;
  Digest digest;
};
void append_record_line(std::string& out, const Record& record);  // with its newline
void append_digest_line(std::string& out, const Digest& digest);
Result<LogLine> parse_log_line(std::string_view line);

}  // namespace bw::purge
