#include "edge/cache/vary.h"

#include <algorithm>

#include "edge/cache/field_text.h"
#include "edge/cache/key.h"

namespace bw::edge {
namespace {

constexpr size_t kMaxNames = 64;

// Thousandths; a weight that can't be read counts as refused.
int parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  int weight = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return 0;
  int unit = 100;
  for (size_t i = 2; i < text.size(); ++i, unit /= 10) {
    if (text[i] < '0' || text[i] > '9') return 0;
    weight += (text[i] - '0') * unit;
  }
  return std::min(weight, 1000);
}

// Blanks around the members of a list mean nothing.
void append_value(std::string& out, std::string_view value) {
  bool first = true;
  while (!value.empty()) {
    const std::string_view member = next_member(value);
    if (!first) out += ',';
    first = false;
    out += member;
  }
}

}  // namespace

VarySet parse_vary(const http::FieldList& response) {
  VarySet vary;
  const auto value = response.combined(http::FieldId::vary);
  if (!value.has_value()) return vary;
  std::string_view rest = *value;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view member = trim_blanks(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (member.empty()) continue;
    if (member == "*" || !http::is_field_name(member) || vary.names.size() >= kMaxNames) {
      vary.star = true;
      vary.names.clear();
      return vary;
    }
    vary.names.push_back(lower_case(member));
  }
  std::sort(vary.names.begin(), vary.names.end());
  vary.names.erase(std::unique(vary.names.begin(), vary.names.end()), vary.names.end());
  return vary;
}

std::string_view normalise_accept_encoding(std::string_view value) {
  int br = -1, gzip = -1, any = 0;
  while (!value.empty()) {
    std::string_view member = next_member(value);
    const std::string_view coding = next_member(member, ';');
    int weight = 1000;
    while (!member.empty()) {
      const std::string_view parameter = next_member(member, ';');
      if (parameter.size() > 2 && lower_case(parameter[0]) == 'q' && parameter[1] == '=') {
        weight = parse_weight(parameter.substr(2));
      }
    }
    if (equals_ignoring_case(coding, "br")) br = std::max(br, weight);
    if (equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip")) {
      gzip = std::max(gzip, weight);
    }
    if (coding == "*") any = weight;
  }
  // Whoever says only '*' is taken at the coding that all know.
  if (gzip < 0) gzip = any;
  if (br > 0 && br >= gzip) return gzip > 0 ? "br, gzip" : "br";
  return gzip > 0 ? "gzip" : "identity";
}

Hash128 variant_key(const Hash128& primary, std::span<const std::string> names,
                    const http::RequestHead& request) {
  if (names.empty()) return primary;
  std::string text(reinterpret_cast<const char*>(&primary.hi), sizeof primary.hi);
  text.append(reinterpret_cast<const char*>(&primary.lo), sizeof primary.lo);
  for (const std::string& name : names) {
    text += '\n';
    text += name;
    if (name == "accept-encoding") {
      const auto value = request.fields.combined(http::FieldId::accept_encoding);
      text += ':';
      text += value.has_value() ? normalise_accept_encoding(*value) : "identity";
    } else if (name == "host") {
      text += ':';
      text += normalise_host(request.authority);
    } else if (const auto value = request.fields.combined(name)) {
      text += ':';
      append_value(text, *value);
    }
  }
  return xxh3_128(text);
}

}  // namespace bw::edge
