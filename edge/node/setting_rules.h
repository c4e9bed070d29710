// What texts in settings may look like: each rule answers "" or what is allowed.
//
// Pure; see TextRule in core/base/settings.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw::edge {

// `https://host:port`, without path, as origins and shields are written.
struct ServerUrl {
  bool tls = false;
  std::string host;  // lower case; IPv6 without brackets
  uint16_t port = 0;
  std::string authority() const;  // host[:port], the port left out where it's the scheme's
};
std::optional<ServerUrl> parse_server_url(std::string_view text);

std::string site_name_rule(const std::string& text);
std::string network_rule(const std::string& text);
std::string client_set_rule(const std::string& text);
std::string client_address_rule(const std::string& text);
std::string server_url_rule(const std::string& text);
std::string control_url_rule(const std::string& text);
std::string host_pattern_rule(const std::string& text);
std::string upstream_host_rule(const std::string& text);
std::string field_name_rule(const std::string& text);
std::string field_value_rule(const std::string& text);
std::string condition_rule(const std::string& text);
std::string method_rule(const std::string& text);
std::string path_pattern_rule(const std::string& text);
std::string country_rule(const std::string& text);
std::string status_rule(const std::string& text);
std::string limit_key_rule(const std::string& text);
std::string action_rule(const std::string& text);
std::string not_empty_rule(const std::string& text);

}  // namespace bw::edge
