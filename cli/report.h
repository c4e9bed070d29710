// Answers of the services as text for people.
//
// Pure. What an answer lacks is left out.
#pragma once

#include <string>
#include <string_view>

#include "core/text/json.h"

namespace bw::cli {

// A receipt of POST /v1/sites/{site}/purge.
std::string purge_report(const text::Json& receipt);
// The answer of POST /v1/explain.
std::string explain_report(std::string_view url, const text::Json& answer);
// /v1/status of a node.
std::string status_report(const text::Json& status);
// /v1/nodes of the purge service.
std::string nodes_report(const text::Json& answer);
// One line of a problem (RFC 9457), or of whatever came instead.
std::string problem_line(int status, std::string_view body);

}  // namespace bw::cli
