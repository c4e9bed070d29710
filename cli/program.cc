#include "cli/program.h"

#include <array>
#include <string_view>

namespace bw::cli {
namespace {

struct Mark {
  std::string_view table;
  std::string_view program;
};

// Tables that one program alone has. [node], [[listen]], [admin], [log], [control], [geo] and
// [[site]] tell nothing by themselves.
constexpr std::array<Mark, 20> kMarks = {{
    {"origin", "origin"}, {"zone", "geodns"},     {"map", "geodns"},     {"pop", "geodns"},
    {"probe", "geodns"},  {"rrl", "geodns"},      {"cookies", "geodns"}, {"state", "geodns"},
    {"store", "purged"},  {"registry", "purged"}, {"purge", "purged"},   {"token", "purged"},
    {"memory", "edge"},   {"disk", "edge"},       {"clients", "edge"},   {"tier", "edge"},
    {"shield", "edge"},   {"limits", "edge"},     {"control", "edge"},   {"tls", "edge"},
}};

}  // namespace

std::optional<std::string> program_of(const Tree& file) {
  std::optional<std::string> found;
  for (const Mark& mark : kMarks) {
    if (file.find(mark.table) == nullptr) continue;
    // Others may have these too.
    const bool weak = mark.table == "control" || mark.table == "tls";
    if (found && *found != mark.program) {
      if (weak) continue;
      return std::nullopt;
    }
    found = mark.program;
  }
  if (found) return found;
  // A site with origins, or none of its own marks, is an edge's; the purge service's has neither.
  if (const Tree* sites = file.find("site"); sites != nullptr) {
    for (const Tree& site : sites->items) {
      if (site.find("origins") != nullptr || site.find("origin") != nullptr) return "edge";
    }
    return "purged";
  }
  return std::nullopt;
}

}  // namespace bw::cli
