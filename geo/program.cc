#include "geo/program.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>

#include "core/base/log.h"
#include "core/net/signals.h"
#include "geo/geodns.h"

namespace bw::geo {

int run(const GeodnsOptions& options) {
  net::block_signals({SIGTERM, SIGINT, SIGHUP});
  log::start("geodns", log::Level::info);
  SystemClock clock;
  SystemRandom random;
  dns::CookieSecret secret{};
  for (uint8_t& byte : secret) byte = static_cast<uint8_t>(random.next());
  Diagnostics diagnostics;
  std::string why;
  const std::shared_ptr<const Loaded> loaded = load_world(options, secret, diagnostics, &why);
  for (const std::string& error : diagnostics.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  if (!diagnostics.ok()) return 2;
  if (loaded == nullptr) {
    std::fprintf(stderr, "breakwater: %s\n", why.c_str());
    return 1;
  }
  log::set_level(loaded->settings->log.level);
  Geodns program(options, loaded, secret, clock, random);
  if (!program.start(&why)) {
    std::fprintf(stderr, "breakwater: %s\n", why.c_str());
    return 1;
  }
  program.run();
  return 0;
}

}  // namespace bw::geo
