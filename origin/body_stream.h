// Bodies of any size, one way or the other: generated, from a file, or received and counted.
//
// Each is the handler of one request. Nothing is held whole: pieces are made while the stream
// wants more. Threads: the loop; files are read on the executor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/executor.h"
#include "core/http/endpoint.h"
#include "core/http/server_stream.h"
#include "origin/metrics.h"
#include "origin/synthetic.h"

namespace bw::origin {

// Answers a problem and lets the rest of the request pass.
std::unique_ptr<http::StreamHandler> make_refusal(http::ServerStream& stream,
                                                  http::EndpointResponse problem, Duration delay);
// GET and HEAD of /synthetic/. `delay` comes on top of the request's own.
std::unique_ptr<http::StreamHandler> make_synthetic_stream(http::ServerStream& stream,
                                                           Synthetic synthetic, Duration delay);
// POST and PUT of /synthetic/: answers {"bytes":N,"crc32":"hex8"} when all has come. `rate`: bytes
// a second that are read; 0: all.
std::unique_ptr<http::StreamHandler> make_upload_stream(http::ServerStream& stream, uint64_t rate,
                                                        Duration delay, OriginMetrics& metrics);
// GET and HEAD of `path` below `folder`; what a link brings in from outside isn't there.
std::unique_ptr<http::StreamHandler> make_file_stream(http::ServerStream& stream,
                                                      Executor& executor, const std::string& folder,
                                                      std::string path, Duration delay);

// A path of a URL as one below a folder, decoded; nullopt: bad escapes, empty or dot segments.
std::optional<std::string> parse_file_path(std::string_view path);
std::string_view content_type_of(std::string_view path);

}  // namespace bw::origin
