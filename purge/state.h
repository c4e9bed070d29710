// What a service finds in its folder when it starts: the log, and who the nodes were.
//
// Blocks: before the loop runs.
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "purge/log_store.h"
#include "purge/log_view.h"
#include "purge/registry.h"

namespace bw::purge {

std::string registry_file(const std::string& folder);

// Fills `log` and `nodes`, and opens the epoch of this process's life. `why` receives a line for
// people.
Result<std::unique_ptr<LogStore>> open_state(std::unique_ptr<LogFile> file,
                                             const std::string& folder, const Clock& clock,
                                             LogView& log, Registry& nodes, std::string* why);

}  // namespace bw::purge
