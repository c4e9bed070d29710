// Trace: the requests of a recorded trace, one line each: `time_s key size`, plain or zstd.
//
// Blocks. Bounds: lines of 256 bytes. Errors: `why` receives a line that names file and line.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bw::cli {

struct TraceRequest {
  std::string key;  // letters and digits
  uint64_t size = 0;
};
// nullopt: not such a line.
std::optional<TraceRequest> parse_trace_line(std::string_view line);

class Trace {
 public:
  // A name that ends in .zst is decompressed.
  static std::unique_ptr<Trace> open(const std::string& file, std::string* why);
  ~Trace();
  // The next request; nullopt at the end, or when `why` says what is wrong.
  std::optional<TraceRequest> next(std::string* why);

 private:
  struct State;
  explicit Trace(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bw::cli
