// Any bytes as Cache-Control, CDN-Cache-Control, Vary and Accept-Encoding; a line is a field line.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "edge/cache/cache_control.h"
#include "edge/cache/vary.h"

using namespace bw;
using namespace bw::edge;

namespace {

void check_bounds(const CacheDirectives& directives) {
  for (const auto& seconds :
       {directives.max_age, directives.s_maxage, directives.stale_while_revalidate,
        directives.stale_if_error, directives.min_fresh, directives.max_stale}) {
    BW_CHECK(!seconds || (*seconds >= 0 && *seconds <= kMaxSeconds));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  http::FieldList fields;
  for (std::string_view rest = text;;) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    fields.add(http::FieldId::cache_control, line);
    fields.add(http::FieldId::vary, line);
    if (line.size() == rest.size()) break;
    rest.remove_prefix(line.size() + 1);
  }
  check_bounds(parse_cache_control(fields));
  check_bounds(parse_cache_control(text));
  if (const auto targeted = parse_targeted(text)) check_bounds(*targeted);
  if (const auto seconds = parse_delta_seconds(text)) {
    BW_CHECK(*seconds >= 0 && *seconds <= kMaxSeconds);
  }
  const VarySet vary = parse_vary(fields);
  BW_CHECK(std::is_sorted(vary.names.begin(), vary.names.end()));
  BW_CHECK(std::adjacent_find(vary.names.begin(), vary.names.end()) == vary.names.end());
  http::RequestHead request;
  request.fields.add(http::FieldId::accept_encoding, text);
  (void)variant_key({1, 2}, vary.names, request);
  const std::string_view encoding = normalise_accept_encoding(text);
  BW_CHECK(encoding == "br, gzip" || encoding == "br" || encoding == "gzip" ||
           encoding == "identity");
  BW_CHECK(normalise_accept_encoding(encoding) == encoding);
  return 0;
}
