// LogStream: one connection's worth of the log: lines taken apart, density and chain verified.
//
// Pure bytes in, records and digests out. Anything that isn't next after what came before ends it.
// Bounds: one line of kMaxRecordLine.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "purge/client/record.h"

namespace bw::purge {

class LogStream {
 public:
  // `after`: the last record that is had; nullopt: none, the first digest says where to begin.
  explicit LogStream(std::optional<LogPoint> after) : end_(after) {}

  struct Step {
    enum class What : uint8_t {
      more,     // nothing whole is left
      records,  // `records`, next after what came before
      reset,    // what is older than `point` has no place on a complete history
      digest,
    };
    What what = What::more;
    std::vector<Record> records;
    LogPoint point;
    Digest digest;
  };
  void feed(std::string_view bytes) { buffer_ += bytes; }
  // What the bytes fed so far hold, in order. An error ends the stream.
  Result<Step> next();

  const std::optional<LogPoint>& end() const { return end_; }

 private:
  static constexpr size_t kMaxBatch = 1000;

  bool is_next(const Record& record) const;

  std::optional<LogPoint> end_;
  std::string buffer_;
  size_t used_ = 0;
};

}  // namespace bw::purge
