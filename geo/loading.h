// Loading: from a file to a world, at start, at a reload, when the database changed, and for check.
//
// Threads: blocks; on main before the loops, later on the executor. Errors: settings in
// `diagnostics` (exit 2); what the machine lacks, a database or a key, in `why` (exit 1).
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/file_mark.h"
#include "geo/program.h"
#include "geo/settings.h"
#include "geo/world.h"

namespace bw::geo {

struct Loaded {
  std::shared_ptr<const GeodnsSettings> settings;
  std::shared_ptr<const World> world;
  std::string admin_token;
};

// Null on failure: errors in `diagnostics` or, when those are none, a line in `why`. `secret`:
// signs cookies where no file is named.
std::shared_ptr<const Loaded> load_world(const GeodnsOptions& options,
                                         const dns::CookieSecret& secret, Diagnostics& diagnostics,
                                         std::string* why);
// The same settings on a new database.
std::shared_ptr<const Loaded> reload_database(const Loaded& loaded, std::string* why);

}  // namespace bw::geo
