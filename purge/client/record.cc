#include "purge/client/record.h"

#include <algorithm>
#include <cstring>

#include "core/base/digest.h"

namespace bw::purge {
namespace {

constexpr std::array<std::string_view, 8> kKinds = {"url",   "prefix", "host", "tag",
                                                    "group", "site",   "all",  "epoch"};

Error malformed(std::string_view text) {
  return Error{.kind = Error::Kind::malformed, .side = Error::Side::storage, .text = text};
}

void put_number(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size(), 2);
  out.append(text);
}

bool take_number(std::string_view& in, int bytes, uint64_t& value) {
  if (in.size() < static_cast<size_t>(bytes)) return false;
  value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= uint64_t{static_cast<uint8_t>(in[static_cast<size_t>(i)])} << (8 * i);
  }
  in.remove_prefix(static_cast<size_t>(bytes));
  return true;
}

bool take_text(std::string_view& in, size_t most, std::string& text) {
  uint64_t size = 0;
  if (!take_number(in, 2, size) || size > most || size > in.size()) return false;
  text.assign(in.substr(0, size));
  in.remove_prefix(size);
  return true;
}

// All of a record but its chain: what the chain hashes.
void encode_content(std::string& out, const Record& r) {
  put_number(out, r.position.value, 8);
  put_number(out, static_cast<uint64_t>(r.time_ms), 8);
  put_number(out, static_cast<uint64_t>(r.mode), 1);
  put_text(out, r.kind == Kind::unknown ? std::string_view(r.kind_name) : to_text(r.kind));
  put_text(out, r.site);
  put_text(out, r.text);
  put_text(out, r.actor);
  put_text(out, r.request);
  put_text(out, r.reason);
}

}  // namespace

std::string to_hex(const Chain& chain) {
  return hex({reinterpret_cast<const char*>(chain.data()), chain.size()});
}

std::optional<Chain> parse_chain(std::string_view text) {
  const auto bytes = from_hex(text);
  Chain chain;
  if (!bytes || bytes->size() != chain.size()) return std::nullopt;
  std::memcpy(chain.data(), bytes->data(), chain.size());
  return chain;
}

std::string_view to_text(Kind kind) {
  return kind == Kind::unknown ? "unknown" : kKinds[static_cast<size_t>(kind)];
}
std::string_view to_text(Mode mode) { return mode == Mode::soft ? "soft" : "hard"; }

Kind parse_kind(std::string_view text) {
  const auto found = std::find(kKinds.begin(), kKinds.end(), text);
  return found == kKinds.end() ? Kind::unknown : static_cast<Kind>(found - kKinds.begin());
}

std::string epoch_text(const EpochStart& start) {
  return start.before.position.text() + " " + to_hex(start.before.chain) +
         (start.complete ? " complete" : " incomplete");
}

std::optional<EpochStart> parse_epoch_text(std::string_view text) {
  const size_t first = text.find(' ');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = text.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto position = Position::parse(text.substr(0, first));
  const auto chain = parse_chain(text.substr(first + 1, second - first - 1));
  const std::string_view word = text.substr(second + 1);
  if (!position || !chain || (word != "complete" && word != "incomplete")) return std::nullopt;
  return EpochStart{{*position, *chain}, word == "complete"};
}

Chain next_chain(const Chain& before, const Record& record) {
  std::string bytes(reinterpret_cast<const char*>(before.data()), before.size());
  encode_content(bytes, record);
  const Sha256 digest = sha256(bytes);
  Chain chain;
  std::memcpy(chain.data(), digest.data(), chain.size());
  return chain;
}

void encode_record(std::string& out, const Record& record) {
  encode_content(out, record);
  out.append(reinterpret_cast<const char*>(record.chain.data()), record.chain.size());
}

Result<Record> decode_record(std::string_view& bytes) {
  std::string_view in = bytes;
  Record r;
  uint64_t time = 0;
  uint64_t mode = 0;
  std::string kind;
  if (!take_number(in, 8, r.position.value) || !take_number(in, 8, time) ||
      !take_number(in, 1, mode) || mode > 1 || !take_text(in, kMaxRecordName, kind) ||
      !take_text(in, kMaxRecordName, r.site) || !take_text(in, kMaxRecordText, r.text) ||
      !take_text(in, kMaxRecordName, r.actor) || !take_text(in, kMaxRecordName, r.request) ||
      !take_text(in, kMaxRecordName, r.reason) || in.size() < r.chain.size()) {
    return malformed("purge record");
  }
  std::memcpy(r.chain.data(), in.data(), r.chain.size());
  in.remove_prefix(r.chain.size());
  r.time_ms = static_cast<int64_t>(time);
  r.mode = static_cast<Mode>(mode);
  r.kind = parse_kind(kind);
  if (r.kind == Kind::unknown) r.kind_name = kind;
  bytes = in;
  return r;
}

}  // namespace bw::purge
