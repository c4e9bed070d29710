#include "purge/state.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "core/base/log.h"

namespace bw::purge {

std::string registry_file(const std::string& folder) { return folder + "/nodes.json"; }

Result<std::unique_ptr<LogStore>> open_state(std::unique_ptr<LogFile> file,
                                             const std::string& folder, const Clock& clock,
                                             LogView& log, Registry& nodes, std::string* why) {
  Result<LogStore::Opened> opened = LogStore::open(std::move(file), why);
  if (!opened.ok()) {
    *why = folder + ": " + *why;
    return opened.error();
  }
  if (opened->torn_bytes > 0) {
    log::warning("a purge that was never acknowledged was cut off the log's end");
  }
  log.add(std::move(opened->records));
  if (std::ifstream in(registry_file(folder)); in) {
    std::stringstream text;
    text << in.rdbuf();
    if (const Status known = nodes.decode(text.str(), clock.mono()); !known.ok()) {
      *why = registry_file(folder) + ": is damaged; remove it to begin without nodes";
      return known.error();
    }
  }
  // Each life of the service is an epoch; on the same store nothing acknowledged can be missing.
  const uint32_t epoch = opened->store->end().position.epoch() + 1;
  const Result<Record> first = opened->store->open_epoch(epoch, true, clock.wall().ms());
  if (!first.ok()) {
    *why = folder + ": " + describe(first.error());
    return first.error();
  }
  log.add({*first});
  return std::move(opened->store);
}

}  // namespace bw::purge
