// Any bytes as the body of a purge request: what is taken is normal, and stays so on its way.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "purge/purge_request.h"

using namespace bw::purge;

namespace {

void check_item(const PurgeItem& item, const std::vector<std::string>& hosts) {
  // One line, no blanks: it is shown in audits, and compared with requests.
  BW_CHECK(std::none_of(item.text.begin(), item.text.end(),
                        [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }));
  BW_CHECK(item.text.size() <= kMaxRecordText);
  std::variant<std::string, Refusal> again = item.text;
  if (item.kind == Kind::url) again = normalise_url("http://" + item.text, hosts);
  if (item.kind == Kind::prefix) again = normalise_prefix(item.text, hosts);
  if (item.kind == Kind::host) again = normalise_host(item.text, hosts);
  if (item.kind == Kind::tag) again = normalise_tag(item.text);
  BW_CHECK(std::holds_alternative<std::string>(again));
  BW_CHECK(std::get<std::string>(again) == item.text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::string> kHosts = {"www.shop.example", "*.cdn.shop.example", "*"};
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const std::variant<Purge, Refusal> parsed = parse_purge(body, kHosts);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) {
    BW_CHECK(refusal->status == 400 || refusal->status == 413 || refusal->status == 422);
    return 0;
  }
  const Purge& purge = std::get<Purge>(parsed);
  BW_CHECK(!purge.items.empty() && purge.items.size() <= kMaxPurgeItems);
  for (const PurgeItem& item : purge.items) {
    check_item(item, kHosts);
    Record record;
    record.kind = item.kind;
    record.mode = purge.mode;
    record.site = "shop";
    record.text = item.text;
    record.reason = purge.reason;
    std::string bytes;
    encode_record(bytes, record);
    std::string_view in = bytes;
    const bw::Result<Record> decoded = decode_record(in);
    BW_CHECK(decoded.ok() && in.empty() && *decoded == record);
    std::string line;
    append_record_line(line, record);
    BW_CHECK(line.find('\n') == line.size() - 1 && line.size() <= kMaxRecordLine);
    const bw::Result<LogLine> read = parse_log_line(line.substr(0, line.size() - 1));
    BW_CHECK(read.ok() && read->record == record);
  }
  return 0;
}
