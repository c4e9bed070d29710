// The origin's admin listener: /healthz, /readyz, /metrics, /v1/status.
//
// Threads: its loop's. Only loopback and UNIX peers may read more than the first two.
#pragma once

#include <functional>
#include <string>

#include "core/base/metrics.h"
#include "core/http/endpoint.h"

namespace bw::origin {

// `status` makes the JSON of /v1/status.
http::EndpointService::Handler make_admin(const metrics::Registry& registry,
                                          std::function<std::string()> status);

}  // namespace bw::origin
