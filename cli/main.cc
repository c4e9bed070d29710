// Where every process of ours begins: picks the program or the command, and runs it.
#include <cstdio>

#include "cli/command_line.h"
#include "edge/node/program.h"

namespace bw::cli {
namespace {

// Runs what was asked for: a program until it stops, or a command to its outcome.
struct Runner {
  Outcome operator()(const edge::EdgeFlags& flags) const { return {edge::run(flags), {}, {}}; }
  Outcome operator()(const purge::PurgedOptions& options) const {
    return {purge::run(options), {}, {}};
  }
  Outcome operator()(const LabOptions& options) const { return {run_lab(options), {}, {}}; }
  Outcome operator()(const geo::GeodnsOptions& options) const {
    return {geo::run(options), {}, {}};
  }
  Outcome operator()(const origin::OriginOptions& options) const {
    return {origin::run(options), {}, {}};
  }
  Outcome operator()(const CheckOptions& options) const { return run_check(options); }
  Outcome operator()(const PurgeOptions& options) const { return run_purge(options); }
  Outcome operator()(const ExplainOptions& options) const { return run_explain(options); }
  Outcome operator()(const StatusOptions& options) const { return run_status(options); }
  Outcome operator()(const TokenOptions& options) const {
    SystemRandom random;
    return run_token_new(options, random);
  }
  Outcome operator()(const GeodbOptions& options) const { return run_geodb_build(options); }
};

int run(const std::vector<std::string>& words) {
  const CommandLine line = parse_command_line(words);
  const Outcome outcome = line.command ? std::visit(Runner(), *line.command) : line.outcome;
  std::fputs(outcome.err.c_str(), stderr);
  std::fputs(outcome.out.c_str(), stdout);
  if (std::fflush(stdout) != 0) return 1;
  return outcome.code;
}

}  // namespace
}  // namespace bw::cli

int main(int argc, char** argv) {
  return bw::cli::run(std::vector<std::string>(argv + 1, argv + argc));
}
