// The NDJSON form of records and digests: {"e","s","c":"hex32",...} and {"digest":{...}}.
#include "core/text/json.h"
#include "purge/client/record.h"

namespace bw::purge {
namespace {

using text::Json;

Error malformed(std::string_view text) {
  return Error{.kind = Error::Kind::malformed, .side = Error::Side::upstream, .text = text};
}

bool read_text(const Json& json, std::string_view key, size_t most, std::string& to) {
  const Json* member = json.find(key);
  if (member == nullptr) return true;
  const auto value = member->as_string();
  if (!value || value->size() > most) return false;
  to = *value;
  return true;
}

bool read_point(const Json& json, LogPoint& point) {
  const auto epoch = json.get("e").as_int();
  const auto sequence = json.get("s").as_int();
  const auto chain = parse_chain(json.get("c").as_string().value_or(""));
  if (!epoch || *epoch < 0 || *epoch > int64_t{Position::kMaxEpoch} || !sequence || *sequence < 0 ||
      static_cast<uint64_t>(*sequence) > Position::kMaxSequence || !chain) {
    return false;
  }
  point.position = Position::of(static_cast<uint32_t>(*epoch), static_cast<uint64_t>(*sequence));
  point.chain = *chain;
  return true;
}

void append_point(std::string& out, const LogPoint& point) {
  out += "{\"e\":" + std::to_string(point.position.epoch()) +
         ",\"s\":" + std::to_string(point.position.sequence()) + ",\"c\":\"" + to_hex(point.chain) +
         "\"";
}

void append_text(std::string& out, std::string_view key, std::string_view value) {
  out += ",\"";
  out += key;
  out += "\":";
  text::append_json_string(out, value);
}

}  // namespace

void append_record_line(std::string& out, const Record& r) {
  append_point(out, {r.position, r.chain});
  out += ",\"t\":" + std::to_string(r.time_ms);
  append_text(out, "site", r.site);
  append_text(out, "kind",
              r.kind == Kind::unknown ? std::string_view(r.kind_name) : to_text(r.kind));
  append_text(out, "mode", to_text(r.mode));
  append_text(out, "text", r.text);
  append_text(out, "actor", r.actor);
  append_text(out, "req", r.request);
  if (!r.reason.empty()) append_text(out, "reason", r.reason);
  out += "}\n";
}

void append_digest_line(std::string& out, const Digest& digest) {
  out += "{\"digest\":";
  append_point(out, digest.end);
  if (digest.nonce != 0) out += ",\"nonce\":" + std::to_string(digest.nonce);
  out += "}}\n";
}

Result<LogLine> parse_log_line(std::string_view line) {
  Result<Json> json = Json::parse(line, {.max_bytes = kMaxRecordLine, .max_depth = 4});
  if (!json.ok()) return json.error();
  if (!json->is_object()) return malformed("log line is no object");
  LogLine parsed;
  if (const Json* digest = json->find("digest")) {
    parsed.what = LogLine::What::digest;
    const Json& nonce = digest->get("nonce");
    if (!digest->is_object() || !read_point(*digest, parsed.digest.end) ||
        (!nonce.is_null() && nonce.as_int().value_or(-1) < 0)) {
      return malformed("digest line");
    }
    parsed.digest.nonce = static_cast<uint64_t>(nonce.as_int().value_or(0));
    return parsed;
  }
  Record& r = parsed.record;
  LogPoint point;
  std::string kind;
  std::string mode;
  const auto time = json->get("t").as_int();
  if (!read_point(*json, point) || !time || !read_text(*json, "site", kMaxRecordName, r.site) ||
      !read_text(*json, "kind", kMaxRecordName, kind) || kind.empty() ||
      !read_text(*json, "mode", kMaxRecordName, mode) || (mode != "hard" && mode != "soft") ||
      !read_text(*json, "text", kMaxRecordText, r.text) ||
      !read_text(*json, "actor", kMaxRecordName, r.actor) ||
      !read_text(*json, "req", kMaxRecordName, r.request) ||
      !read_text(*json, "reason", kMaxRecordName, r.reason)) {
    return malformed("record line");
  }
  r.position = point.position;
  r.chain = point.chain;
  r.time_ms = *time;
  r.mode = mode == "soft" ? Mode::soft : Mode::hard;
  r.kind = parse_kind(kind);
  if (r.kind == Kind::unknown) r.kind_name = kind;
  return parsed;
}

}  // namespace bw::purge
