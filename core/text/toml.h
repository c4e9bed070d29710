// TOML files as trees; the library behind it stays in the .cc.
//
// Errors: a syntax error is one line `FILE:LINE:COLUMN: …` in `diagnostics`. Bounds: 4 MiB a file.
// See: https://toml.io/en/v1.0.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/settings.h"
#include "core/base/tree.h"

namespace bw::text {

// `file` is how messages name the document.
std::optional<Tree> parse_toml(std::string_view text, const std::string& file,
                               Diagnostics& diagnostics);
std::optional<Tree> parse_toml_file(const std::string& path, Diagnostics& diagnostics);

// Reads the whole file into `settings` (a struct with declare(SettingGroup&)), all errors into
// `diagnostics`. `overrides` (flags) replace what the file says before it is read; an empty path:
// overrides only.
template <typename T>
bool load_settings(const std::string& path, const Tree& overrides, T& settings,
                   Diagnostics& diagnostics) {
  Tree tree;
  if (!path.empty()) {
    std::optional<Tree> parsed = parse_toml_file(path, diagnostics);
    if (!parsed) return false;
    tree = std::move(*parsed);
  }
  override_tree(tree, overrides);
  return read_settings(tree, path, settings, diagnostics);
}

}  // namespace bw::text
