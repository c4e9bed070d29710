// Makes small MaxMind-format databases from lines `CIDR,country[,asn]`.
//
// For labs, tests and private networks. Writes country.iso_code and autonomous_system_number; IPv4
// lies at ::/96 of one IPv6 tree, as MaxMind's own files have it. A more specific line beats a
// wider one, whatever their order. Bounds: kMaxLines. Errors: `why` receives one line that names
// file and line number.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bw::geo {

inline constexpr size_t kMaxLines = 4'000'000;

// The database's bytes from the text of a CSV file. `file` is what errors call it; `build_time` in
// seconds since 1970 goes into the metadata.
Result<std::string> encode_geodb(std::string_view csv, std::string_view file, uint64_t build_time,
                                 std::string* why);
// Reads `csv_path`, writes `out_path` (a whole file or none).
Status build_geodb(const std::string& csv_path, const std::string& out_path, std::string* why);

}  // namespace bw::geo
