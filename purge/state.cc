#include "purge/state.h"

#include <utility>

#include "core/base/file.h"
#include "core/base/log.h"

namespace bw::purge {
namespace {

constexpr size_t kMaxRegistry = 64 << 20;

}  // namespace

std::string registry_file(const std::string& folder) { return folder + "/nodes.json"; }

Result<std::unique_ptr<LogStore>> open_state(std::unique_ptr<LogFile> file,
                                             const std::string& folder, const Clock& clock,
                                             Random& random, LogView& log, Registry& nodes,
                                             std::string* why) {
  Result<LogStore::Opened> opened = LogStore::open(std::move(file), random, why);
  if (!opened.ok()) {
    *why = folder + ": " + *why;
    return opened.error();
  }
  if (opened->torn_bytes > 0) {
    log::warning("a purge that was never acknowledged was cut off the log's end");
  }
  log.add(std::move(opened->records));
  // Nodes that aren't remembered aren't waited for: only a file that was never there is none.
  const Result<std::string> known = read_file(registry_file(folder), kMaxRegistry);
  if (known.ok()) {
    if (const Status decoded = nodes.decode(*known, clock.mono()); !decoded.ok()) {
      *why = registry_file(folder) + ": is damaged; remove it to begin without nodes";
      return decoded.error();
    }
  } else if (known.error().kind != Error::Kind::not_found) {
    *why = registry_file(folder) + ": " + describe(known.error());
    return known.error();
  }
  return std::move(opened->store);
}

Status begin_epoch(LogWriter& writer, const std::string& folder, const Clock& clock, LogView& log,
                   std::string* why) {
  if (log.end().position.epoch() == Position::kMaxEpoch) {
    *why = folder + ": its " + std::to_string(Position::kMaxEpoch) +
           " epochs are used up; with an empty folder the nodes begin anew";
    return Error{.kind = Error::Kind::no_space, .side = Error::Side::storage, .text = "epoch"};
  }
  // Each life of the service is an epoch; on the same store nothing acknowledged can be missing.
  const Result<Record> first = writer.begin_epoch(clock.wall().ms());
  if (!first.ok()) {
    *why = folder + ": " + describe(first.error());
    return first.error();
  }
  log.add({*first});
  return {};
}

}  // namespace bw::purge
