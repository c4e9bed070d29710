#include "core/base/token_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "core/base/settings.h"

namespace bw {
namespace {

constexpr size_t kMaxLine = 4096;

}  // namespace

std::optional<std::string> read_token_file(const std::string& path, std::string* why) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kMaxLine + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (in.bad() || (text.empty() && !in.eof())) {
    *why = path + ": cannot be read";
    return std::nullopt;
  }
  const size_t end = std::min(text.find('\n'), text.size());
  if (end > kMaxLine) {
    *why = path + ": its first line is longer than 4 KiB";
    return std::nullopt;
  }
  text.resize(end);
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) {
    *why = path + (in.is_open() ? ": its first line is empty" : ": cannot be read");
    return std::nullopt;
  }
  text = text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  const bool visible =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!visible) {
    *why = path + ": its first line is no token: visible ASCII without blanks is allowed";
    return std::nullopt;
  }
  return text;
}

void check_secret_file(const std::string& path, std::string_view key, Diagnostics& diagnostics) {
  struct stat status {};
  if (path.empty()) return;
  if (::stat(path.c_str(), &status) != 0) {
    diagnostics.warning(std::string(key) + ": " + path + " isn't there");
  } else if ((status.st_mode & S_IROTH) != 0) {
    diagnostics.warning(std::string(key) + ": " + path + " can be read by others");
  }
}

}  // namespace bw
