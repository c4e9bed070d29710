// An edge or shield as a program: `breakwater edge`.
//
// Prints `listening on ADDR (http|https|admin)` on stdout when ready. Answers an exit code: 0 clean
// (SIGTERM, SIGINT), 1 failure with one line on stderr, 2 bad configuration. SIGHUP reloads sites,
// upstreams, certificates and geography; SIGUSR1 reopens the access log.
#pragma once

#include "edge/node/settings.h"

namespace bw::edge {

int run(const EdgeFlags& flags);

}  // namespace bw::edge
