#include "edge/node/purge_mapping.h"

#include <optional>
#include <string_view>

#include "edge/cache/key.h"
#include "edge/cache/tags.h"

namespace bw::edge {
namespace {

struct Url {
  std::string_view host;
  std::string_view path;
  std::optional<std::string_view> query;
};

Url split(std::string_view text) {
  Url url;
  const size_t slash = std::min(text.find('/'), text.size());
  url.host = text.substr(0, slash);
  url.path = text.substr(slash);
  const size_t mark = url.path.find('?');
  if (mark != std::string_view::npos) {
    url.query = url.path.substr(mark + 1);
    url.path = url.path.substr(0, mark);
  }
  return url;
}

}  // namespace

void map_record(const purge::Record& record, const PurgeSite& site, std::vector<Purge>& purges) {
  if (record.kind == purge::Kind::epoch) return;
  Purge purge;
  purge.site = site.id;
  purge.position = record.position.value;
  purge.mode = record.mode == purge::Mode::hard ? PurgeMode::hard : PurgeMode::soft;
  // A site that isn't served here may be tomorrow: the default rules stand for its own until then.
  const std::vector<KeyRules> unknown(1);
  const std::vector<KeyRules>& rules = site.rules.empty() ? unknown : site.rules;
  switch (record.kind) {
    case purge::Kind::url: {
      const Url url = split(record.text);
      for (const KeyRules& one : rules) {
        if (url.query == "*") {
          purge.kind = PurgeKind::any_query;
          purge.key = any_query_purge_key(one, url.host, url.path);
        } else {
          purge.kind = PurgeKind::url;
          purge.key = url_purge_key(one, url.host, url.path, url.query);
        }
        purges.push_back(purge);
      }
      return;
    }
    case purge::Kind::prefix: {
      const Url url = split(record.text);
      std::string_view path = url.path;
      purge.kind = PurgeKind::prefix;
      if (path.ends_with('*')) {
        path.remove_suffix(1);
        purge.kind = PurgeKind::byte_prefix;
      }
      for (const KeyRules& one : rules) {
        purge.path = normalise_path(path, one.ignore_case);
        // Without the host in the key, the prefix of any host of the site is meant.
        purge.host = one.host ? url.host : std::string_view();
        purges.push_back(purge);
      }
      return;
    }
    case purge::Kind::host:
      purge.kind = PurgeKind::host;
      purge.key = host_purge_key(record.text);
      for (const KeyRules& one : rules) {
        if (!one.host) purge.kind = PurgeKind::site;
      }
      break;
    case purge::Kind::tag:
      purge.kind = PurgeKind::tag;
      purge.key = {0, tag_hash(record.text)};
      break;
    case purge::Kind::all:
    case purge::Kind::site:
      purge.kind = PurgeKind::site;
      break;
    case purge::Kind::group:
    case purge::Kind::unknown:
    case purge::Kind::epoch:
      purge.kind = PurgeKind::site;
      purge.mode = PurgeMode::soft;
      break;
  }
  purges.push_back(purge);
}

}  // namespace bw::edge
