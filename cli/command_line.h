// What the words after `breakwater` ask for.
//
// Pure, but for the environment: BREAKWATER_CONTROL, _ADMIN and _TOKEN_FILE stand in for options
// that aren't given. See: docs of each command are its --help.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/commands.h"
#include "cli/lab/lab.h"
#include "edge/node/settings.h"
#include "geo/program.h"
#include "origin/program.h"
#include "purge/program.h"

namespace bw::cli {

using Command = std::variant<edge::EdgeFlags, purge::PurgedOptions, geo::GeodnsOptions,
                             origin::OriginOptions, LabOptions, CheckOptions, PurgeOptions,
                             ExplainOptions, StatusOptions, TokenOptions, GeodbOptions>;

// A command to run; or, when help was asked for or something is wrong, what to say and the code.
struct CommandLine {
  std::optional<Command> command;
  Outcome outcome;
};
CommandLine parse_command_line(const std::vector<std::string>& words);

}  // namespace bw::cli
