// What a client asks to purge: the API's JSON checked whole, its items normalised to log texts.
//
// Pure. Bounds: 500 items, 64 KiB. Errors: a refusal with the status and the name of its problem;
// nothing of a refused request is applied.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "purge/client/record.h"

namespace bw::purge {

inline constexpr size_t kMaxPurgeBody = 64 * 1024;
inline constexpr size_t kMaxPurgeItems = 500;
inline constexpr int64_t kMaxWait_ms = 60'000;

enum class Wait : uint8_t { none, shield, all };

struct PurgeItem {
  Kind kind = Kind::tag;
  std::string text;
  friend bool operator==(const PurgeItem&, const PurgeItem&) = default;
};

struct Purge {
  std::vector<PurgeItem> items;
  Mode mode = Mode::hard;
  Wait wait = Wait::none;
  int64_t wait_timeout_ms = 2000;
  std::string reason;
};

struct Refusal {
  int status = 400;
  std::string_view name;  // of the problem
  std::string detail;
};

// `hosts` are the site's: exact names, `*.name`, `*`.
std::variant<Purge, Refusal> parse_purge(std::string_view body,
                                         const std::vector<std::string>& hosts);

// The single rules, for tests and for other doors to the service.
std::variant<std::string, Refusal> normalise_url(std::string_view url,
                                                 const std::vector<std::string>& hosts);
std::variant<std::string, Refusal> normalise_prefix(std::string_view prefix,
                                                    const std::vector<std::string>& hosts);
std::variant<std::string, Refusal> normalise_host(std::string_view host,
                                                  const std::vector<std::string>& hosts);
std::variant<std::string, Refusal> normalise_tag(std::string_view tag);

// Whether `host` (lower case, no port) is one of a site's.
bool is_host_of(std::string_view host, const std::vector<std::string>& hosts);

}  // namespace bw::purge
