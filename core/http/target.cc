#include "core/http/target.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace bw::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool name_char(char c) {
  return digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

bool is_ip6(std::string_view text) {
  if (text.size() > 45) return false;
  std::array<char, 46> terminated{};
  std::copy(text.begin(), text.end(), terminated.begin());
  in6_addr address;
  return text.find('\0') == std::string_view::npos &&
         inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

bool is_port(std::string_view text) {
  if (text.size() > 5 || !std::all_of(text.begin(), text.end(), digit)) return false;
  int port = 0;
  for (char c : text) port = port * 10 + (c - '0');
  return port <= 65535;
}

// The length of "http://" or "https://" at the start, in any case; 0: neither.
size_t scheme_prefix(std::string_view text) {
  for (std::string_view prefix : {"http://", "https://"}) {
    if (text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(),
                                                   [](char a, char b) { return a == lower(b); })) {
      return prefix.size();
    }
  }
  return 0;
}

}  // namespace

std::optional<std::string> parse_authority(std::string_view text) {
  std::string_view host;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || !is_ip6(text.substr(1, close - 1))) return std::nullopt;
    host = text.substr(0, close + 1);
  } else {
    host = text.substr(0, text.find(':'));
    if (host.empty() || host.size() > 255 || !std::all_of(host.begin(), host.end(), name_char)) {
      return std::nullopt;
    }
  }
  std::string_view rest = text.substr(host.size());
  if (!rest.empty() && (rest[0] != ':' || !is_port(rest.substr(1)))) return std::nullopt;
  std::string authority(host);
  if (rest.size() > 1) authority.append(rest);
  std::transform(authority.begin(), authority.end(), authority.begin(), lower);
  return authority;
}

bool is_origin_form(std::string_view text) {
  if (!text.starts_with('/')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>';
  });
}

std::optional<RequestTarget> parse_request_target(std::string_view method, std::string_view text) {
  RequestTarget result;
  if (method == "CONNECT") {  // authority-form only, and its port isn't optional
    result.authority = parse_authority(text);
    if (!result.authority || result.authority->back() == ']' ||
        result.authority->find(':') == std::string::npos) {
      return std::nullopt;
    }
    return result;
  }
  if (text == "*") {
    if (method != "OPTIONS") return std::nullopt;
    result.target = "*";
    return result;
  }
  if (const size_t prefix = scheme_prefix(text)) {
    result.scheme = prefix == 7 ? "http" : "https";
    text.remove_prefix(prefix);
    const size_t end = std::min(text.find_first_of("/?"), text.size());
    result.authority = parse_authority(text.substr(0, end));
    if (!result.authority) return std::nullopt;
    text.remove_prefix(end);
    if (text.empty()) {  // RFC 9112 section 3.2.4: OPTIONS of the server, else the root
      result.target = method == "OPTIONS" ? "*" : "/";
      return result;
    }
    if (text[0] == '?') result.target = "/";
  }
  result.target.append(text);
  if (!is_origin_form(result.target)) return std::nullopt;
  return result;
}

}  // namespace bw::http
