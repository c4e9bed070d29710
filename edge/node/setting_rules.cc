#include "edge/node/setting_rules.h"

#include <algorithm>
#include <charconv>

#include "core/http/field_list.h"
#include "core/net/address.h"
#include "core/net/program_settings.h"
#include "edge/guard/access.h"
#include "edge/guard/client_address.h"
#include "edge/guard/limits.h"

namespace bw::edge {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Labels of letters, digits, '-' and '_'; at most 253 bytes.
bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  size_t label = 0;
  for (char c : text) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (is_letter(c) || is_digit(c) || c == '-' || c == '_') {
      if (++label > 63) return false;
    } else {
      return false;
    }
  }
  return label > 0;
}

bool has_upper(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::string when(bool good, std::string_view allowed) {
  return good ? std::string() : std::string(allowed);
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), port);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || port == 0) {
    return std::nullopt;
  }
  return port;
}

bool is_status(std::string_view text, int least, int most) {
  int status = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), status);
  return text.size() == 3 && end.ec == std::errc() && end.ptr == text.data() + text.size() &&
         status >= least && status <= most;
}

}  // namespace

std::string ServerUrl::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : '[' + host + ']';
  if (port != (tls ? 443 : 80)) text += ':' + std::to_string(port);
  return text;
}

std::optional<ServerUrl> parse_server_url(std::string_view text) {
  ServerUrl url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(url.tls ? 8 : 7);
  if (text.ends_with('/')) text.remove_suffix(1);
  url.port = url.tls ? 443 : 80;
  std::string_view host = text;
  std::string_view after;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    after = text.substr(end + 1);
    const Result<net::Ip> ip = net::Ip::parse(host);
    if (!ip.ok() || host.find(':') == std::string_view::npos) return std::nullopt;
  } else {
    const size_t colon = text.find(':');
    host = text.substr(0, colon);
    after = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (!is_host_name(host)) return std::nullopt;
  }
  if (!after.empty()) {
    const auto port = after.front() == ':' ? parse_port(after.substr(1)) : std::nullopt;
    if (!port) return std::nullopt;
    url.port = *port;
  }
  url.host = host;
  for (char& c : url.host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return url;
}

std::string site_name_rule(const std::string& text) { return net::node_name_rule(text); }

std::string network_rule(const std::string& text) {
  return when(net::Network::parse(text).ok(), "a network as 192.0.2.0/24 or 2001:db8::/32");
}

std::string client_set_rule(const std::string& text) {
  return when(ClientSet().add(text).ok(), "a network, country:XX or asn:NUMBER");
}

std::string client_address_rule(const std::string& text) {
  return when(client_address_field(text).has_value(), "forwarded | x-forwarded-for | header:NAME");
}

std::string server_url_rule(const std::string& text) {
  return when(parse_server_url(text).has_value(), "http://HOST[:PORT] or https://HOST[:PORT]");
}

std::string control_url_rule(const std::string& text) { return server_url_rule(text); }

std::string host_pattern_rule(const std::string& text) {
  std::string_view name = text;
  if (name == "*") return {};
  if (name.starts_with("*.")) name.remove_prefix(2);
  const bool v6 = name.starts_with('[') && name.ends_with(']') &&
                  net::Ip::parse(name.substr(1, name.size() - 2)).ok();
  return when((is_host_name(name) || v6) && !has_upper(name),
              "a host in lower case, \"*.\" before one, or \"*\"");
}

std::string upstream_host_rule(const std::string& text) {
  return when(
      text == "client" || text == "origin" || parse_server_url("http://" + text).has_value(),
      "client | origin | a literal host");
}

std::string field_name_rule(const std::string& text) {
  return when(http::is_field_name(text), "a field name");
}

std::string field_value_rule(const std::string& text) {
  return when(http::is_field_value(text), "a field value: no control bytes, no outer blanks");
}

std::string condition_rule(const std::string& text) { return field_name_rule(text); }

std::string method_rule(const std::string& text) {
  return when(http::is_field_name(text) && text.size() <= 32, "a method as GET");
}

std::string path_pattern_rule(const std::string& text) {
  return when(!text.empty() && (text.front() == '/' || text.front() == '*') && text.size() <= 1024,
              "a path as /static/*, '*' for any bytes");
}

std::string country_rule(const std::string& text) {
  return when(text.size() == 2 && std::all_of(text.begin(), text.end(),
                                              [](char c) { return c >= 'A' && c <= 'Z'; }),
              "two capital letters as DE");
}

std::string status_rule(const std::string& text) {
  return when(is_status(text, 200, 599) && text != "206" && text != "304", "a final status as 404");
}

std::string limit_key_rule(const std::string& text) {
  return when(LimitKeyPart::parse(text).has_value(),
              "client | header:NAME | cookie:NAME | path | country | asn");
}

std::string action_rule(const std::string& text) {
  constexpr std::string_view kAllowed =
      "\"\" | pass | deny | redirect:301|302|303|307|308:URL | respond:STATUS:FILE";
  if (text.empty() || text == "pass" || text == "deny") return {};
  const std::string_view all = text;
  const size_t colon = all.find(':');
  if (colon == std::string_view::npos || all.size() < colon + 6 || all[colon + 4] != ':') {
    return std::string(kAllowed);
  }
  const std::string_view word = all.substr(0, colon);
  const std::string_view status = all.substr(colon + 1, 3);
  const std::string_view rest = all.substr(colon + 5);
  if (word == "redirect") {
    const bool good =
        status == "301" || status == "302" || status == "303" || status == "307" || status == "308";
    return when(good && http::is_field_value(rest) && rest.find(' ') == std::string_view::npos,
                kAllowed);
  }
  return when(word == "respond" && is_status(status, 200, 599) && status != "204" &&
                  status != "206" && status != "304",
              kAllowed);
}

std::string not_empty_rule(const std::string& text) { return when(!text.empty(), "some text"); }

}  // namespace bw::edge
