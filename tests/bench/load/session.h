#pragma once
// One connection's HTTP: writes requests, reads answers, tells the tally about each.
//
// Lifetime: belongs to its connection. Bounds: a head that isn't whole after 64 KiB is an error.
// Errors: a text; the connection and the run end with it.

#include <cstdint>
#include <memory>
#include <string>

#include "tests/bench/load/content.h"
#include "tests/bench/load/options.h"
#include "tests/bench/load/urls.h"

namespace bw::bench {

struct Request {
  uint64_t object = 0;
  uint64_t due_ns = 0;
};

// What the sessions share: the URLs, and what became of each request.
struct Tally {
  explicit Tally(const Options& given) : options(given), urls(given) {}
  virtual ~Tally() = default;
  virtual void done(const Request& request) = 0;

  // Whether this answer's bytes are compared.
  bool sampled() { return ++answers % options.sample == 0; }

  const Options& options;
  Urls urls;
  uint64_t answers = 0;
  uint64_t compared = 0;
  uint64_t bytes = 0;  // of bodies, as they come
};

class Session {
 public:
  virtual ~Session() = default;
  virtual void begin(std::string& out) = 0;  // what a connection opens with
  virtual uint32_t room() const = 0;         // requests that may be sent now
  virtual void request(const Request& request, std::string& out) = 0;
  // Null: fine. `out` takes what the protocol itself has to say.
  virtual const char* receive(const char* data, size_t size, std::string& out) = 0;
};

std::unique_ptr<Session> make_h1_session(Tally& tally);
std::unique_ptr<Session> make_h2_session(Tally& tally);

}  // namespace bw::bench
