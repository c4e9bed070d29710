#include "core/http/target.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "core/http/h1_scan.h"

namespace bw::http {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

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
    if (text.size() >= prefix.size() &&
        std::equal(prefix.begin(), prefix.end(), text.begin(),
                   [](char a, char b) { return a == lower_case(b); })) {
      return prefix.size();
    }
  }
  return 0;
}

}  // namespace

bool read_authority(std::string_view text, std::string& authority) {
  size_t host = 0;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || !is_ip6(text.substr(1, close - 1))) return false;
    host = close + 1;
  } else {
    while (host < text.size() && (syntax::class_of(text[host]) & syntax::kHost) != 0) ++host;
    if (host == 0 || host > 255) return false;
  }
  if (host < text.size()) {
    if (text[host] != ':' || !is_port(text.substr(host + 1))) return false;
    if (host + 1 == text.size()) text.remove_suffix(1);
  }
  authority.assign(text);
  for (char& c : authority) c = lower_case(c);
  return true;
}

std::optional<std::string> parse_authority(std::string_view text) {
  std::string authority;
  if (!read_authority(text, authority)) return std::nullopt;
  return authority;
}

bool is_origin_form(std::string_view text) {
  return text.starts_with('/') && end_of_target(text, 1) == text.size();
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
