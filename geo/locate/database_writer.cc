#include "geo/locate/database_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "core/base/file.h"
#include "core/net/address.h"

namespace bw::geo {
namespace {

constexpr unsigned kIpv4At = 96;
constexpr uint32_t kEmpty = 0xffffffff;
constexpr uint32_t kDataBit = 0x80000000;  // beside it: the value's number
constexpr size_t kMaxText = size_t{1} << 30;

struct Line {
  std::array<uint8_t, 16> base{};
  uint8_t length = 0;  // in the tree for IPv6
  uint32_t value = 0;
  uint32_t number = 0;  // of the line
};
using Value = std::pair<std::string, uint32_t>;  // country, ASN

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The binary search tree: two records a node.
class SearchTree {
 public:
  void insert(const std::array<uint8_t, 16>& base, unsigned length, uint32_t value) {
    if (length == 0) nodes_[0] = {value | kDataBit, value | kDataBit};
    uint32_t at = 0;
    for (unsigned bit = 0; bit < length; ++bit) {
      const size_t side = base[bit / 8] >> (7 - bit % 8) & 1;
      if (bit + 1 == length) {
        nodes_[at][side] = value | kDataBit;
        return;
      }
      uint32_t next = nodes_[at][side];
      if (next == kEmpty || (next & kDataBit) != 0) {  // what was there holds for both halves
        nodes_.push_back({next, next});
        next = static_cast<uint32_t>(nodes_.size() - 1);
        nodes_[at][side] = next;
      }
      at = next;
    }
  }
  const std::vector<std::array<uint32_t, 2>>& nodes() const { return nodes_; }

 private:
  std::vector<std::array<uint32_t, 2>> nodes_{{kEmpty, kEmpty}};
};

// MaxMind DB format 2.0, "data section": a control byte of type and size, then the value.
enum Type : unsigned { kText = 2, kUint16 = 5, kUint32 = 6, kMap = 7, kUint64 = 9, kArray = 11 };

void control(std::string& out, Type type, size_t size) {
  const auto base = static_cast<uint8_t>(type <= 7 ? type << 5 : 0);
  out += static_cast<char>(size < 29 ? base | size : base | 29);
  if (type > 7) out += static_cast<char>(type - 7);
  if (size >= 29) out += static_cast<char>(size - 29);
}
void text(std::string& out, std::string_view value) {
  BW_CHECK(value.size() < 29 + 256);
  control(out, kText, value.size());
  out += value;
}
void number(std::string& out, Type type, uint64_t value) {
  size_t size = 0;
  while (size < 8 && value >> (8 * size) != 0) ++size;
  control(out, type, size);
  while (size-- > 0) out += static_cast<char>(value >> (8 * size));
}
void word32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

void add_value(std::string& out, const Value& value) {
  control(out, kMap, size_t(!value.first.empty()) + size_t(value.second != 0));
  if (!value.first.empty()) {
    text(out, "country");
    control(out, kMap, 1);
    text(out, "iso_code");
    text(out, value.first);
  }
  if (value.second != 0) {
    text(out, "autonomous_system_number");
    number(out, kUint32, value.second);
  }
}

void add_metadata(std::string& out, size_t nodes, uint64_t build_time) {
  out += "\xab\xcd\xefMaxMind.com";
  control(out, kMap, 9);
  text(out, "node_count");
  number(out, kUint32, nodes);
  text(out, "record_size");
  number(out, kUint16, 32);
  text(out, "ip_version");
  number(out, kUint16, 6);
  text(out, "database_type");
  text(out, "Breakwater-Country-ASN");
  text(out, "languages");
  control(out, kArray, 0);
  text(out, "binary_format_major_version");
  number(out, kUint16, 2);
  text(out, "binary_format_minor_version");
  number(out, kUint16, 0);
  text(out, "build_epoch");
  number(out, kUint64, build_time);
  text(out, "description");
  control(out, kMap, 1);
  text(out, "en");
  text(out, "made by breakwater geodb build");
}

// One line's fields; empty: good, else what is wrong.
std::string parse_line(std::string_view line, Line& parsed, Value& value) {
  std::array<std::string_view, 3> fields;
  for (size_t i = 0; i < 3; ++i) {
    const size_t comma = line.find(',');
    fields[i] = trimmed(line.substr(0, comma));
    if (comma == std::string_view::npos) {
      line = {};
      break;
    }
    line.remove_prefix(comma + 1);
    if (i == 2) return "more than three fields; allowed: CIDR,country[,asn]";
  }
  const Result<net::Network> network = net::Network::parse(fields[0]);
  if (!network) return "\"" + std::string(fields[0]) + "\" is no network";
  const net::Ip ip = network->base;
  const size_t from = ip.v6 ? 0 : 12;
  std::copy_n(ip.bytes.begin(), ip.v6 ? 16 : 4, parsed.base.begin() + ptrdiff_t(from));
  parsed.length = static_cast<uint8_t>(network->length + (ip.v6 ? 0 : kIpv4At));
  value.first = fields[1];
  for (char& c : value.first) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (c < 'A' || c > 'Z') value.first = "?";
  }
  if (!value.first.empty() && value.first.size() != 2) {
    return "\"" + std::string(fields[1]) + "\" is no country of two letters";
  }
  value.second = 0;
  std::string_view asn = fields[2];
  if (asn.starts_with("AS")) asn.remove_prefix(2);
  if (!asn.empty()) {
    const auto end = std::from_chars(asn.data(), asn.data() + asn.size(), value.second);
    if (end.ec != std::errc() || end.ptr != asn.data() + asn.size() || value.second == 0) {
      return "\"" + std::string(fields[2]) + "\" is no ASN";
    }
  }
  if (value.first.empty() && value.second == 0) return "neither country nor ASN";
  return {};
}

Error malformed(std::string* why, std::string_view file, uint32_t line, std::string_view what) {
  if (why != nullptr) {
    *why = std::string(file) + ":" + std::to_string(line) + ": " + std::string(what);
  }
  return Error{.kind = Error::Kind::malformed, .text = "geo database's lines"};
}

}  // namespace

Result<std::string> encode_geodb(std::string_view csv, std::string_view file, uint64_t build_time,
                                 std::string* why) {
  std::vector<Line> lines;
  std::map<Value, uint32_t> values;
  uint32_t number = 0;
  while (!csv.empty()) {
    const size_t end = csv.find('\n');
    const std::string_view raw = trimmed(csv.substr(0, end));
    csv.remove_prefix(end == std::string_view::npos ? csv.size() : end + 1);
    ++number;
    if (raw.empty() || raw.front() == '#') continue;
    if (number == 1 && (raw.starts_with("network,") || raw.starts_with("cidr,"))) continue;
    if (lines.size() == kMaxLines) return malformed(why, file, number, "more than 4000000 lines");
    Line line{.number = number};
    Value value;
    const std::string wrong = parse_line(raw, line, value);
    if (!wrong.empty()) return malformed(why, file, number, wrong);
    line.value = values.try_emplace(value, static_cast<uint32_t>(values.size())).first->second;
    lines.push_back(line);
  }
  if (lines.empty()) return malformed(why, file, number, "no lines");
  // Wide networks first: what is more specific then splits them.
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
    return a.length != b.length ? a.length < b.length : a.base < b.base;
  });
  SearchTree tree;
  for (size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    if (i > 0 && lines[i - 1].length == line.length && lines[i - 1].base == line.base) {
      return malformed(why, file, line.number,
                       "the network of line " + std::to_string(lines[i - 1].number) + " again");
    }
    tree.insert(line.base, line.length, line.value);
  }
  std::vector<const Value*> ordered(values.size());
  for (const auto& [value, at] : values) ordered[at] = &value;
  std::string data;
  std::vector<uint32_t> offsets;
  for (const Value* value : ordered) {
    offsets.push_back(static_cast<uint32_t>(data.size()));
    add_value(data, *value);
  }
  const auto nodes = static_cast<uint32_t>(tree.nodes().size());
  std::string out;
  out.reserve(size_t{8} * nodes + data.size() + 512);
  for (const auto& node : tree.nodes()) {
    for (uint32_t record : node) {
      if (record == kEmpty) {
        record = nodes;
      } else if ((record & kDataBit) != 0) {
        record = nodes + 16 + offsets[record & ~kDataBit];
      }
      word32(out, record);
    }
  }
  out.append(16, '\0');
  out += data;
  add_metadata(out, nodes, build_time);
  return out;
}

Status build_geodb(const std::string& csv_path, const std::string& out_path, std::string* why) {
  const Result<std::string> csv = read_file(csv_path, kMaxText);
  if (!csv.ok()) {
    if (why != nullptr) *why = csv_path + ": " + describe(csv.error());
    return csv.error();
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  Result<std::string> bytes = encode_geodb(
      *csv, csv_path,
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()), why);
  if (!bytes) return bytes.error();
  // Readers reload the file when it changes.
  const Status written = replace_file(out_path, *bytes);
  if (!written.ok() && why != nullptr) *why = out_path + ": " + describe(written.error());
  return written;
}

}  // namespace bw::geo
