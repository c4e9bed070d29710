#include <cstdint>
#include <string_view>

#include "core/base/check.h"
#include "core/text/json.h"

// What parses is written and read again as the same value.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bw::Result<bw::text::Json> json = bw::text::Json::parse(text);
  if (!json.ok()) return 0;
  const std::string written = json->dump();
  const bw::Result<bw::text::Json> again = bw::text::Json::parse(written);
  BW_CHECK(again.ok());
  BW_CHECK(again->dump() == written);
  return 0;
}
