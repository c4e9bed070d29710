// What a service finds in its folder when it starts: the log, and who the nodes were.
//
// Blocks: before the loop runs.
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "purge/log_store.h"
#include "purge/log_view.h"
#include "purge/log_writer.h"
#include "purge/registry.h"

namespace bw::purge {

std::string registry_file(const std::string& folder);

// Fills `log` and `nodes`. `random` salts a new log. `why` receives a line for people.
Result<std::unique_ptr<LogStore>> open_state(std::unique_ptr<LogFile> file,
                                             const std::string& folder, const Clock& clock,
                                             Random& random, LogView& log, Registry& nodes,
                                             std::string* why);

// Opens the epoch of this process's life, when nothing else can keep it from serving: epochs are
// few (Position::kMaxEpoch), and a start that fails takes none. Before anything is submitted.
Status begin_epoch(LogWriter& writer, const std::string& folder, const Clock& clock, LogView& log,
                   std::string* why);

}  // namespace bw::purge
