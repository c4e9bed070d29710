// Any bytes as a node's beat: what is taken is kept in the registry's file, and read back the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "purge/registry.h"

using namespace bw;
using namespace bw::purge;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  std::string why;
  const std::optional<Beat> beat = parse_beat(body, &why);
  BW_CHECK(beat.has_value() == why.empty());
  if (!beat) return 0;
  const MonoTime now{1};
  Registry registry({});
  (void)registry.beat("n1", *beat, now);
  const LogView log;
  (void)registry.json(now, log).dump();
  (void)registry.standings("shop", log, {});
  const std::string file = registry.encode();
  Registry again({});
  BW_CHECK(again.decode(file, now).ok());
  BW_CHECK(again.encode() == file);
  return 0;
}
