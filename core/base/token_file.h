// The secret that a token file holds: its first line, without blanks around it; and whether files
// of secrets are kept well.
//
// Blocks: reads the file. Bounds: a line of 4 KiB. One reading for whoever shows a token and
// whoever checks it, so that a blank at the line's end can't make two tokens of one file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bw {

class Diagnostics;

// Visible ASCII, at least one byte; nullopt: `why` receives a line for people that names the file.
std::optional<std::string> read_token_file(const std::string& path, std::string* why);

// What `check` warns of: a file of secrets that isn't there or that others can read. `key`: the
// setting that names it; an empty path is nothing.
void check_secret_file(const std::string& path, std::string_view key, Diagnostics& diagnostics);

}  // namespace bw
