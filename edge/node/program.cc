#include "edge/node/program.h"

#include <signal.h>

#include <cstdio>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/net/signals.h"
#include "edge/node/node.h"

namespace bw::edge {

int run(const EdgeFlags& flags) {
  net::block_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1});
  log::start("edge", log::Level::info);
  Diagnostics diagnostics;
  EdgeSettings settings;
  const bool read = load_edge_settings(flags, settings, diagnostics);
  for (const std::string& error : diagnostics.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  if (!read || !diagnostics.ok()) return 2;
  log::set_level(settings.log.level);
  SystemClock clock;
  SystemRandom random;
  Node node(flags, std::move(settings), clock, random);
  std::string why;
  if (!node.start(&why)) {
    std::fprintf(stderr, "breakwater: %s\n", why.c_str());
    return 1;
  }
  node.run();
  return node.exit_code();
}

}  // namespace bw::edge
