// The commands that work on files: check, token, geodb.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "cli/commands.h"
#include "cli/program.h"
#include "core/base/digest.h"
#include "core/text/toml.h"
#include "edge/node/check.h"
#include "geo/check.h"
#include "geo/locate/database_writer.h"
#include "origin/program.h"
#include "purge/program.h"
#include "purge/token.h"

namespace bw::cli {
namespace {

std::string lines(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all.append(text).append("\n");
  return all;
}

std::string toml_list(const std::vector<std::string>& texts) {
  std::string all = "[";
  for (const std::string& text : texts) {
    all.append(all.size() > 1 ? ", \"" : "\"").append(text).append("\"");
  }
  return all + "]";
}

std::optional<Diagnostics> check_file(const std::string& program, const std::string& file) {
  Diagnostics diagnostics;
  if (program == "edge") return edge::check_edge_file(file);
  if (program == "geodns") return geo::check_geodns_file(file);
  if (program == "purged") {
    (void)purge::check_settings(file, diagnostics);
    return diagnostics;
  }
  if (program == "origin") {
    (void)origin::check_settings(file, diagnostics);
    return diagnostics;
  }
  return std::nullopt;
}

// Writes a new file that only its owner may read; false: errno says why.
bool write_secret(const std::string& path, const std::string& content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  return ::close(fd) == 0 && written;
}

}  // namespace

Outcome run_check(const CheckOptions& options) {
  std::string program = options.program;
  if (program.empty()) {
    Diagnostics diagnostics;
    const std::optional<Tree> tree = text::parse_toml_file(options.file, diagnostics);
    if (!tree) return {.code = 2, .out = {}, .err = lines(diagnostics.errors())};
    program = program_of(*tree).value_or("");
  }
  const std::optional<Diagnostics> found = check_file(program, options.file);
  if (!found) {
    return {.code = 2,
            .out = {},
            .err = options.file +
                   ": its tables do not tell which program it is for; say it with --for\n"};
  }
  Outcome outcome;
  outcome.err = lines(found->errors()) + lines(found->warnings());
  if (found->ok()) {
    outcome.out = options.file + ": good for " + program + "\n";
  } else {
    outcome.code = 2;
  }
  return outcome;
}

Outcome run_token_new(const TokenOptions& options, Random& random) {
  for (const std::string& scope : options.scopes) {
    if (purge::parse_scope(scope) != 0) continue;
    return {.code = 2,
            .out = {},
            .err = "breakwater token new: --scope " + scope +
                   ": allowed are purge:url, purge:tag, purge:prefix, purge:all, read and node\n"};
  }
  for (const std::vector<std::string>& texts : {std::vector{options.name}, options.sites}) {
    for (const std::string& text : texts) {
      if (!text.empty() && text.find_first_of("\"\\\n\r\t") == std::string::npos) continue;
      return {.code = 2, .out = {}, .err = "breakwater token new: a name that is none\n"};
    }
  }
  std::string bytes;
  for (int i = 0; i < 4; ++i) {
    const uint64_t word = random.next();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  const std::string secret = "bw_" + base64url(bytes);
  const Sha256 hash = sha256(secret);
  const std::string hash_text = hex({reinterpret_cast<const char*>(hash.data()), hash.size()});
  Outcome outcome;
  if (options.out.empty()) {
    outcome.out = "# the secret, shown once; put it alone into a token file\n# " + secret + "\n";
  } else if (!write_secret(options.out, secret + "\n")) {
    return {.code = 1,
            .out = {},
            .err = "breakwater token new: " + options.out + ": " + std::strerror(errno) + "\n"};
  }
  outcome.out += "[[token]]\nname = \"" + options.name + "\"\nhash = \"sha256:" + hash_text +
                 "\"\nsites = " + toml_list(options.sites) +
                 "\nscopes = " + toml_list(options.scopes) + "\n";
  return outcome;
}

Outcome run_geodb_build(const GeodbOptions& options) {
  std::string why;
  const Status built = geo::build_geodb(options.from, options.out, &why);
  if (built) return {.code = 0, .out = options.out + ": written\n", .err = {}};
  const int code = built.error().kind == Error::Kind::malformed ? 2 : 1;
  return {.code = code, .out = {}, .err = "breakwater geodb build: " + why + "\n"};
}

}  // namespace bw::cli
