// Prober: asks each address of each POP its probe URL, again and again.
//
// Each probe is a new connection: a real handshake, a real request. Threads: its loop's. Lifetime:
// destroy it outside its callback. Bounds: one probe an address at a time, ProbeSettings' time-out
// for all of it. See: geo/health.h for what results mean.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/task.h"
#include "core/http/client.h"
#include "core/net/loop.h"
#include "geo/settings.h"
#include "geo/world.h"

namespace bw::geo {

class Prober {
 public:
  using Result = UniqueFunction<void(size_t pop, size_t address, bool good)>;
  // Null, with a line in `why`, when the CA cannot be read.
  static std::unique_ptr<Prober> make(net::Loop& loop, const ProbeSettings& settings,
                                      const std::vector<Pop>& pops, Result result,
                                      std::string* why);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

 private:
  class Probe;
  Prober(net::Loop& loop, const ProbeSettings& settings, Result result);

  net::Loop& loop_;
  ProbeSettings settings_;
  Result result_;
  std::shared_ptr<net::TlsContext> tls_;
  std::shared_ptr<http::ClientPool> pool_;
  std::vector<std::unique_ptr<Probe>> probes_;
};

}  // namespace bw::geo
