#include "edge/guard/client_address.h"

#include <algorithm>

namespace bw::edge {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
std::optional<net::Ip> parse_node(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view after = text.substr(end + 1);
    if (!after.empty() && (after.front() != ':' || !is_port(after.substr(1)))) return std::nullopt;
    text = text.substr(1, end - 1);
    if (text.find(':') == std::string_view::npos) return std::nullopt;
  } else if (const size_t colon = text.find(':');
             colon != std::string_view::npos &&
             text.find(':', colon + 1) == std::string_view::npos) {
    if (!is_port(text.substr(colon + 1))) return std::nullopt;
    text = text.substr(0, colon);
  }
  const Result<net::Ip> ip = net::Ip::parse(text);
  return ip.ok() ? std::optional<net::Ip>(*ip) : std::nullopt;
}

// Cuts the last member off a comma list, where commas inside quotes don't count.
std::string_view last_member(std::string_view& list) {
  bool quoted = false;
  size_t start = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    if (quoted && list[i] == '\\') {
      ++i;
    } else if (list[i] == '"') {
      quoted = !quoted;
    } else if (list[i] == ',' && !quoted) {
      start = i + 1;
    }
  }
  const std::string_view member = trim(list.substr(start));
  list = start == 0 ? std::string_view() : list.substr(0, start - 1);
  return member;
}

// The `for` parameter of one forwarded-element (RFC 7239 section 4); empty: none.
std::string forwarded_for(std::string_view element) {
  while (!element.empty()) {
    size_t end = 0;
    bool quoted = false;
    for (; end < element.size() && (quoted || element[end] != ';'); ++end) {
      if (quoted && element[end] == '\\') {
        ++end;
      } else if (element[end] == '"') {
        quoted = !quoted;
      }
    }
    const std::string_view pair = trim(element.substr(0, std::min(end, element.size())));
    element.remove_prefix(std::min(end + 1, element.size()));
    if (pair.size() < 4 || (pair[0] | 0x20) != 'f' || (pair[1] | 0x20) != 'o' ||
        (pair[2] | 0x20) != 'r' || pair[3] != '=') {
      continue;
    }
    std::string_view value = pair.substr(4);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return std::string(value);
  }
  return {};
}

}  // namespace

bool is_trusted(const ClientAddressRule& rule, const net::Ip& ip) {
  return std::any_of(rule.trusted.begin(), rule.trusted.end(),
                     [&ip](const net::Network& network) { return network.contains(ip); });
}

net::Ip client_address(const ClientAddressRule& rule, const net::Address& peer,
                       const http::FieldList& fields) {
  net::Ip client = peer.ip();
  if (peer.family() != net::Address::Family::ip) client.bytes = {127, 0, 0, 1};
  if (!is_trusted(rule, client)) return client;
  const std::optional<std::string> all = fields.combined(rule.field);
  if (!all) return client;
  // A list longer than this is nobody's chain of proxies; cutting at each member costs its square.
  constexpr size_t kMaxMembers = 64;
  std::string_view list = *all;
  for (size_t i = 0; i < kMaxMembers && !list.empty(); ++i) {
    const std::string_view member = last_member(list);
    const std::optional<net::Ip> ip =
        rule.field == "forwarded" ? parse_node(forwarded_for(member)) : parse_node(member);
    if (!ip) return client;
    client = *ip;
    if (!is_trusted(rule, client)) return client;
  }
  return client;
}

std::optional<std::string> client_address_field(std::string_view setting) {
  if (setting == "x-forwarded-for" || setting == "forwarded") return std::string(setting);
  constexpr std::string_view kHeader = "header:";
  if (!setting.starts_with(kHeader)) return std::nullopt;
  setting.remove_prefix(kHeader.size());
  if (!http::is_field_name(setting)) return std::nullopt;
  std::string name(setting);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return name;
}

}  // namespace bw::edge
