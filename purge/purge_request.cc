#include "purge/purge_request.h"

#include <algorithm>
#include <optional>

#include "core/net/address.h"
#include "core/text/json.h"

namespace bw::purge {
namespace {

using text::Json;

constexpr size_t kMaxTag = 1024;

Refusal bad(std::string detail) { return {400, "bad-request", std::move(detail)}; }
Refusal unparsable(std::string_view what, std::string_view text) {
  return {422, "unprocessable", std::string(what) + ": " + std::string(text.substr(0, 200))};
}

bool has_control_or_blank(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  if (host.front() == '[') {
    if (host.back() != ']') return false;
    const auto ip = net::Ip::parse(host.substr(1, host.size() - 2));
    return ip.ok();
  }
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

// host[:port] in any case -> host; nullopt: none.
std::optional<std::string> host_of(std::string_view authority) {
  std::string_view host = authority;
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const std::string_view port = authority.substr(colon + 1);
    if (port.empty() || port.size() > 5 ||
        !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return std::nullopt;
    }
    host = authority.substr(0, colon);
  }
  std::string lowered = lower(host);
  if (!lowered.empty() && lowered.back() == '.') lowered.pop_back();  // the same name, absolute
  if (!is_host_name(lowered)) return std::nullopt;
  return lowered;
}

// Takes http:// or https:// off; false when there is another scheme or none.
bool take_scheme(std::string_view& url) {
  for (const std::string_view scheme :
       {std::string_view("http://"), std::string_view("https://")}) {
    if (url.size() >= scheme.size() && lower(url.substr(0, scheme.size())) == scheme) {
      url.remove_prefix(scheme.size());
      return true;
    }
  }
  return false;
}

Refusal foreign(std::string_view text) { return unparsable("not a host of this site", text); }

using Normalised = std::variant<std::string, Refusal>;

std::optional<Refusal> add_items(const Json& list, std::string_view name, Kind kind,
                                 const std::vector<std::string>& hosts, Purge& purge) {
  if (!list.is_array()) return bad("\"" + std::string(name) + "\" must be a list of strings");
  if (purge.items.size() + list.size() > kMaxPurgeItems) {
    return Refusal{413, "too-many-items", "at most 500 items a request"};
  }
  for (const Json& item : list.items()) {
    const auto text = item.as_string();
    if (!text) return bad("\"" + std::string(name) + "\" must be a list of strings");
    if (text->size() > kMaxRecordText)
      return bad("an item of \"" + std::string(name) + "\" is longer than 8 KiB");
    Normalised normalised = kind == Kind::url      ? normalise_url(*text, hosts)
                            : kind == Kind::prefix ? normalise_prefix(*text, hosts)
                            : kind == Kind::host   ? normalise_host(*text, hosts)
                                                   : normalise_tag(*text);
    if (auto* refusal = std::get_if<Refusal>(&normalised)) return std::move(*refusal);
    purge.items.push_back({kind, std::get<std::string>(std::move(normalised))});
  }
  return std::nullopt;
}

std::optional<Refusal> read_member(const std::string& key, const Json& value,
                                   const std::vector<std::string>& hosts, Purge& purge,
                                   bool& everything, std::optional<Mode>& mode) {
  if (key == "urls") return add_items(value, key, Kind::url, hosts, purge);
  if (key == "tags") return add_items(value, key, Kind::tag, hosts, purge);
  if (key == "prefixes") return add_items(value, key, Kind::prefix, hosts, purge);
  if (key == "hosts") return add_items(value, key, Kind::host, hosts, purge);
  const auto word = value.as_string();
  if (key == "everything") {
    if (!value.as_bool()) return bad("\"everything\" must be true or false");
    everything = *value.as_bool();
  } else if (key == "mode") {
    if (word != "hard" && word != "soft") return bad("\"mode\" must be \"hard\" or \"soft\"");
    mode = *word == "soft" ? Mode::soft : Mode::hard;
  } else if (key == "wait") {
    if (word == "none") {
      purge.wait = Wait::none;
    } else if (word == "shield") {
      purge.wait = Wait::shield;
    } else if (word == "all") {
      purge.wait = Wait::all;
    } else {
      return bad("\"wait\" must be \"none\", \"shield\" or \"all\"");
    }
  } else if (key == "wait_timeout_ms") {
    const auto ms = value.as_int();
    if (!ms || *ms < 0 || *ms > kMaxWait_ms) {
      return bad("\"wait_timeout_ms\" must be an integer from 0 to 60000");
    }
    purge.wait_timeout_ms = *ms;
  } else if (key == "reason") {
    if (!word || word->size() > kMaxRecordName) {
      return bad("\"reason\" must be a string of at most 256 bytes");
    }
    // It is shown in audits and logs, a line each.
    if (has_control(*word)) return bad("\"reason\" has no control bytes");
    purge.reason = *word;
  } else {
    return bad("unknown field \"" + key.substr(0, 100) +
               "\"; allowed: urls, tags, prefixes, hosts, everything, mode, wait, "
               "wait_timeout_ms, reason");
  }
  return std::nullopt;
}

}  // namespace

bool is_host_of(std::string_view host, const std::vector<std::string>& hosts) {
  return std::any_of(hosts.begin(), hosts.end(), [host](const std::string& rule) {
    if (rule == "*") return true;
    if (rule.starts_with("*.")) {
      const std::string_view tail = std::string_view(rule).substr(1);
      return host.size() > tail.size() && host.ends_with(tail);
    }
    return host == rule;
  });
}

std::variant<std::string, Refusal> normalise_url(std::string_view url,
                                                 const std::vector<std::string>& hosts) {
  std::string_view rest = url;
  if (has_control_or_blank(url) || !take_scheme(rest)) {
    return unparsable("not an absolute http or https URL", url);
  }
  rest = rest.substr(0, rest.find('#'));
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const auto host = host_of(rest.substr(0, end));
  if (!host) return unparsable("no valid host in URL", url);
  if (!is_host_of(*host, hosts)) return foreign(url);
  std::string text = *host;
  if (end == rest.size() || rest[end] == '?') text += '/';
  text += rest.substr(end);
  if (text.ends_with('?')) text.pop_back();  // an empty query is no query
  return text;
}

std::variant<std::string, Refusal> normalise_prefix(std::string_view prefix,
                                                    const std::vector<std::string>& hosts) {
  std::string_view rest = prefix;
  if (prefix.empty() || has_control_or_blank(prefix) ||
      prefix.find_first_of("?#") != std::string_view::npos) {
    return unparsable("not a path prefix", prefix);
  }
  if (rest.front() == '/') return std::string(rest);
  take_scheme(rest);
  const size_t end = std::min(rest.find('/'), rest.size());
  const auto host = host_of(rest.substr(0, end));
  if (!host) return unparsable("no valid host in prefix", prefix);
  if (!is_host_of(*host, hosts)) return foreign(prefix);
  return *host + (end == rest.size() ? "/" : std::string(rest.substr(end)));
}

std::variant<std::string, Refusal> normalise_host(std::string_view host,
                                                  const std::vector<std::string>& hosts) {
  const auto name = host_of(host);
  if (!name) return unparsable("not a host name", host);
  if (!is_host_of(*name, hosts)) return foreign(host);
  return *name;
}

std::variant<std::string, Refusal> normalise_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > kMaxTag) return bad("a tag has 1 to 1024 bytes");
  if (has_control_or_blank(tag) || tag.find(',') != std::string_view::npos) {
    return bad("a tag has no blanks, commas or control bytes");
  }
  return std::string(tag);
}

std::variant<Purge, Refusal> parse_purge(std::string_view body,
                                         const std::vector<std::string>& hosts) {
  if (body.size() > kMaxPurgeBody) return Refusal{413, "too-large", "at most 64 KiB a request"};
  std::string why;
  const auto json = Json::parse(body, {.max_bytes = kMaxPurgeBody, .max_depth = 4}, &why);
  if (!json.ok()) return bad("not JSON: " + why);
  if (!json->is_object()) return bad("the body must be a JSON object");
  Purge purge;
  bool everything = false;
  std::optional<Mode> mode;
  for (const Json::Member& member : json->members()) {
    if (auto refusal = read_member(member.key, member.value, hosts, purge, everything, mode)) {
      return *std::move(refusal);
    }
  }
  if (everything) {
    if (!purge.items.empty()) return bad("\"everything\" goes alone");
    purge.items.push_back({Kind::all, ""});
  }
  if (purge.items.empty()) return bad("nothing to purge");
  purge.mode = mode.value_or(everything ? Mode::soft : Mode::hard);
  return purge;
}

}  // namespace bw::purge
