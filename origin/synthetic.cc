#include "origin/synthetic.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/quantity.h"
#include "core/http/endpoint.h"

namespace bw::origin {
namespace {

constexpr std::string_view kPrefix = "/synthetic/";
constexpr uint64_t kMostBytes = 1ull << 40;
constexpr Duration kLongestDelay = std::chrono::minutes(10);
constexpr int64_t kModified = 1'700'000'000;

// splitmix64: each word of the stream from its place alone.
uint64_t word_at(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

bool parse_count(std::string_view text, uint64_t most, uint64_t& to) {
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, to);
  return !text.empty() && error == std::errc() && at == end && to <= most;
}

// Takes one name=value into `s`; "" or what is allowed.
std::string read_parameter(Synthetic& s, std::string_view name, const std::string& value) {
  if (name == "size") {
    return parse_count(value, kMostBytes, s.size) ? "" : "size: bytes, at most 2^40";
  }
  if (name == "delay") {
    const auto delay = parse_duration(value);
    if (!delay || *delay > kLongestDelay) return "delay: a duration up to 10m";
    s.delay = *delay;
    return "";
  }
  if (name == "rate") {
    const auto rate = parse_size(value);
    if (!rate || *rate == 0) return "rate: a size, bytes a second";
    s.rate = *rate;
    return "";
  }
  if (name == "status") {
    uint64_t status = 0;
    if (!parse_count(value, 599, status) || status < 200) return "status: 200 to 599";
    s.status = static_cast<int>(status);
    return "";
  }
  if (name == "chunked") {
    s.chunked = value == "1";
    return value == "1" || value == "0" ? "" : "chunked: 0 or 1";
  }
  if (name == "cut") {
    s.cut.emplace();
    return parse_count(value, kMostBytes, *s.cut) ? "" : "cut: bytes";
  }
  std::string* const text = name == "cache_control" ? &s.cache_control
                            : name == "tags"        ? &s.tags
                            : name == "vary"        ? &s.vary
                            : name == "cookie"      ? &s.cookie
                                                    : nullptr;
  if (text == nullptr) return "unknown parameter " + std::string(name);
  const bool right = text == &s.vary ? http::is_field_name(value) : http::is_field_value(value);
  if (!right) return std::string(name) + ": not a field";
  *text = value;
  return "";
}

}  // namespace

std::optional<Synthetic> parse_synthetic(const http::RequestHead& head, std::string* why) {
  Synthetic s;
  std::string_view rest = head.query().value_or("");
  s.id = head.path().substr(std::min(kPrefix.size(), head.path().size()));
  if (s.id.empty()) {
    *why = "no id";
    return std::nullopt;
  }
  bool sized = false;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t equal = std::min(pair.find('='), pair.size());
    const std::string_view name = pair.substr(0, equal);
    const auto value = http::percent_decode(pair.substr(std::min(equal + 1, pair.size())));
    *why = value ? read_parameter(s, name, *value) : "bad escape";
    if (!why->empty()) return std::nullopt;
    sized = sized || name == "size";
  }
  if (!sized) {
    *why = "size is needed";
    return std::nullopt;
  }
  std::string varied;
  if (!s.vary.empty()) varied = head.fields.combined(s.vary).value_or("");
  s.seed = xxh3_64(s.id, xxh3_64(varied));
  const Hash128 mark = xxh3_128(s.id + "\n" + varied, s.size);
  char tag[16];
  std::memcpy(tag, &mark.hi, 8);
  std::memcpy(tag + 8, &mark.lo, 8);
  s.validators.etag = "\"" + hex({tag, sizeof tag}) + "\"";
  s.validators.last_modified = kModified;
  return s;
}

void fill_synthetic(uint64_t seed, uint64_t offset, char* out, size_t size) {
  size_t done = 0;
  while (done < size) {
    const uint64_t word = word_at(seed, (offset + done) / 8);
    const size_t skip = (offset + done) % 8;
    const size_t n = std::min(8 - skip, size - done);
    char bytes[8];
    std::memcpy(bytes, &word, 8);
    std::memcpy(out + done, bytes + skip, n);
    done += n;
  }
}

}  // namespace bw::origin
