// One request to a service's API and its whole answer, for commands that wait for it.
//
// Threads: the caller's, which runs a loop of its own meanwhile. Bounds: an answer of kMaxAnswer;
// the deadline of the request. Errors: `why` receives a line for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/commands.h"
#include "core/base/result.h"

namespace bw::cli {

inline constexpr size_t kMaxAnswer = 64 << 20;

struct ServiceRequest {
  std::string method = "GET";
  std::string target;
  std::string body;  // JSON; empty: none
  Duration deadline = std::chrono::seconds(10);
};

struct ServiceAnswer {
  int status = 0;
  std::string body;
};

Result<ServiceAnswer> call_service(const ServiceAccess& access, const ServiceRequest& request,
                                   std::string* why);

// A service's URL, taken apart. Pure.
struct ServicePlace {
  bool https = false;
  std::string host;       // a name or an IP without brackets
  uint16_t port = 0;      //
  std::string authority;  // for Host
  std::string path;       // of a UNIX socket, instead of host and port
  friend bool operator==(const ServicePlace&, const ServicePlace&) = default;
};
std::optional<ServicePlace> parse_service_place(std::string_view url);

}  // namespace bw::cli
