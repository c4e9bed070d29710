#include "core/text/toml.h"

// The library (3.3.0) asserts what malformed input can break, as `[#`, and answers it with an error
// where the assertion is off. With NDEBUG it would assume instead, so that stays undefined here.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "core/base/file.h"

namespace bw::text {
namespace {

constexpr size_t kMaxFile = 4 << 20;

Tree tree_of(const toml::node& node) {
  Tree tree;
  tree.line = static_cast<uint32_t>(node.source().begin.line);
  tree.column = static_cast<uint32_t>(node.source().begin.column);
  switch (node.type()) {
    case toml::node_type::table:
      tree.kind = Tree::Kind::table;
      for (const auto& [key, value] : *node.as_table()) {
        tree.members.push_back({std::string(key.str()),
                                static_cast<uint32_t>(key.source().begin.line),
                                static_cast<uint32_t>(key.source().begin.column), tree_of(value)});
      }
      break;
    case toml::node_type::array:
      tree.kind = Tree::Kind::array;
      for (const toml::node& item : *node.as_array()) tree.items.push_back(tree_of(item));
      break;
    case toml::node_type::string:
      tree.kind = Tree::Kind::string;
      tree.text = node.as_string()->get();
      break;
    case toml::node_type::integer:
      tree.kind = Tree::Kind::integer;
      tree.integer = node.as_integer()->get();
      break;
    case toml::node_type::floating_point:
      tree.kind = Tree::Kind::number;
      tree.number = node.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      tree.kind = Tree::Kind::boolean;
      tree.boolean = node.as_boolean()->get();
      break;
    default:
      tree.kind = Tree::Kind::other;
      tree.text = "a date or time";
  }
  return tree;
}

}  // namespace

std::optional<Tree> parse_toml(std::string_view text, const std::string& file,
                               Diagnostics& diagnostics) {
  if (text.size() > kMaxFile) {
    diagnostics.error(file + ": larger than 4MiB");
    return std::nullopt;
  }
  try {
    return tree_of(toml::parse(text, file));
  } catch (const toml::parse_error& error) {
    diagnostics.error(file + ':' + std::to_string(error.source().begin.line) + ':' +
                      std::to_string(error.source().begin.column) + ": " +
                      std::string(error.description()));
    return std::nullopt;
  }
}

std::optional<Tree> parse_toml_file(const std::string& path, Diagnostics& diagnostics) {
  const Result<std::string> text = read_file(path, kMaxFile);
  if (text.ok()) return parse_toml(*text, path, diagnostics);
  diagnostics.error(
      path + ": " +
      (text.error().kind == Error::Kind::too_large ? "larger than 4MiB" : describe(text.error())));
  return std::nullopt;
}

}  // namespace bw::text
