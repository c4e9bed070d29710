#include <charconv>
#include <ctime>

#include "core/text/json.h"
#include "edge/node/access_log.h"

namespace bw::edge {
namespace {

using http::FieldId;
using Shown = LogSettings::ClientAddress;

std::string client_text(const net::Ip& ip, Shown shown) {
  if (shown == Shown::none) return {};
  if (shown == Shown::full) return ip.text();
  net::Ip network = ip;
  const size_t kept = ip.v6 ? 6 : 3;
  for (size_t i = kept; i < (ip.v6 ? 16u : 4u); ++i) network.bytes[i] = 0;
  return network.text();
}

struct JsonLine {
  std::string& out;
  bool first = true;

  void name(std::string_view key) {
    out += first ? "{\"" : ",\"";
    first = false;
    out += key;
    out += "\":";
  }
  void text(std::string_view key, std::string_view value) {
    name(key);
    text::append_json_string(out, value);
  }
  void number(std::string_view key, int64_t value) {
    name(key);
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
  }
  void number(std::string_view key, uint64_t value) { number(key, static_cast<int64_t>(value)); }
  void us(std::string_view key, Duration value) { number(key, int64_t{value.count() / 1000}); }
};

std::string iso_time(WallTime time) {
  const std::time_t seconds = time.seconds();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  const size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  const auto ms = static_cast<int>(time.ms() % 1000);
  return std::string(text, n) + '.' + static_cast<char>('0' + ms / 100) +
         static_cast<char>('0' + ms / 10 % 10) + static_cast<char>('0' + ms % 10) + 'Z';
}

// For the combined format: what a client sent can't end a quoted part.
void append_quoted(std::string& out, std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  if (value.empty()) out += '-';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\' || byte < 0x20 || byte >= 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void append_json_line(std::string& out, const AccessRecord& record, const AccessLog::Node& node,
                      Shown address) {
  const http::RequestHead& request = *record.request;
  JsonLine line{out};
  line.text("time", iso_time(record.time));
  line.text("node", node.name);
  line.text("pop", node.pop);
  line.text("site", record.site);
  line.text("client", client_text(record.client, address));
  line.text("protocol", to_text(request.version));
  line.name("tls");
  out += record.tls ? "true" : "false";
  line.text("method", request.method);
  line.text("scheme", request.scheme);
  line.text("host", request.authority);
  line.text("path", request.path());
  line.text("query", request.query().value_or(""));
  line.number("status", int64_t{record.status});
  line.number("bytes_in", record.bytes_in);
  line.number("bytes_out", record.bytes_out);
  line.text("verdict", to_text(record.verdict));
  line.text("reason", to_text(record.reason));
  line.text("tier", to_text(record.served_by));
  line.text("upstream", record.upstream);
  line.number("upstream_status", int64_t{record.upstream_status});
  line.number("tries", uint64_t{record.tries});
  line.us("receive_us", record.receive);
  line.us("lookup_us", record.lookup);
  line.us("fill_us", record.fill);
  line.us("deliver_us", record.deliver);
  line.us("total_us", record.total);
  line.text("request_id", record.request_id);
  line.text("user_agent", request.fields.find(FieldId::user_agent).value_or(""));
  line.text("referer", request.fields.find(FieldId::referer).value_or(""));
  out += "}\n";
}

void append_combined_line(std::string& out, const AccessRecord& record, Shown address) {
  const http::RequestHead& request = *record.request;
  const std::string client = client_text(record.client, address);
  out += client.empty() ? "-" : client;
  const std::time_t seconds = record.time.seconds();
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char time[40];
  out += " - - [";
  out.append(time, std::strftime(time, sizeof time, "%d/%b/%Y:%H:%M:%S +0000", &parts));
  out += "] ";
  append_quoted(
      out, request.method + ' ' + request.target + ' ' + std::string(to_text(request.version)));
  out += ' ' + std::to_string(record.status) + ' ' + std::to_string(record.bytes_out) + ' ';
  append_quoted(out, request.fields.find(FieldId::referer).value_or(""));
  out += ' ';
  append_quoted(out, request.fields.find(FieldId::user_agent).value_or(""));
  out += '\n';
}

}  // namespace bw::edge
