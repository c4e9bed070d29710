// The commands that ask a service: purge, explain, status.
#include <algorithm>

#include "cli/commands.h"
#include "cli/report.h"
#include "cli/service_call.h"
#include "core/net/address.h"
#include "purge/client/publisher.h"

namespace bw::cli {
namespace {

using text::Json;

constexpr Duration kMargin = std::chrono::seconds(10);

Outcome failure(std::string_view command, const std::string& why) {
  return {.code = 1, .out = {}, .err = "breakwater " + std::string(command) + ": " + why + "\n"};
}
Outcome misuse(std::string_view command, const std::string& why) {
  Outcome outcome = failure(command, why);
  outcome.code = 2;
  return outcome;
}

// The JSON of a good answer; else the outcome that tells what came instead.
struct Asked {
  int status = 0;
  Json json;
  std::optional<Outcome> failed;
};
Asked ask(std::string_view command, const ServiceAccess& access, const ServiceRequest& request) {
  std::string why;
  const Result<ServiceAnswer> answer = call_service(access, request, &why);
  Asked asked;
  if (!answer) {
    asked.failed = failure(command, why);
    return asked;
  }
  asked.status = answer->status;
  if (answer->status / 100 != 2) {
    asked.failed = failure(command, access.url + ": " + problem_line(answer->status, answer->body));
    return asked;
  }
  Result<Json> json = Json::parse(answer->body, {.max_bytes = kMaxAnswer, .max_depth = 64}, &why);
  if (!json) {
    asked.failed = failure(command, access.url + ": an answer that is no JSON: " + why);
    return asked;
  }
  asked.json = std::move(*json);
  return asked;
}

}  // namespace

Outcome run_purge(const PurgeOptions& options) {
  purge::PurgeRequest body{.urls = options.urls,
                           .tags = options.tags,
                           .prefixes = options.prefixes,
                           .hosts = options.hosts,
                           .everything = options.everything,
                           .wait = options.wait,
                           .reason = options.reason};
  if (body.urls.empty() && body.tags.empty() && body.prefixes.empty() && body.hosts.empty() &&
      !body.everything) {
    return misuse("purge", "nothing to purge: give --url, --tag, --prefix, --host or --everything");
  }
  if (options.soft) body.mode = "soft";
  if (options.hard) body.mode = "hard";
  const bool waits = options.wait != "none";
  if (waits) {
    body.wait_timeout_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout).count();
  }
  // Site names have no byte that a path could not hold (checked by the service's settings).
  const bool plain = std::all_of(options.site.begin(), options.site.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!plain || options.site.empty()) return misuse("purge", options.site + ": no name of a site");

  const Asked asked = ask("purge", options.service,
                          {.method = "POST",
                           .target = "/v1/sites/" + options.site + "/purge",
                           .body = purge::encode_purge_request(body),
                           .deadline = (waits ? options.timeout : Duration::zero()) + kMargin});
  if (asked.failed) return *asked.failed;
  Outcome outcome;
  outcome.out = options.json ? asked.json.dump() + "\n" : purge_report(asked.json);
  if (waits && (asked.status != 200 || asked.json.get("laggards").size() > 0)) {
    outcome.code = 3;
    outcome.err = "breakwater purge: durable, but not applied by all within the wait\n";
  }
  return outcome;
}

Outcome run_explain(const ExplainOptions& options) {
  Json headers = Json::object();
  for (const std::string& header : options.headers) {
    const size_t colon = header.find(':');
    if (colon == std::string::npos || colon == 0) {
      return misuse("explain", "--header '" + header + "': not NAME: VALUE");
    }
    const size_t start = header.find_first_not_of(" \t", colon + 1);
    headers.set(header.substr(0, colon), start == std::string::npos ? "" : header.substr(start));
  }
  if (!options.client.empty() && !net::Ip::parse(options.client).ok()) {
    return misuse("explain", "--client " + options.client + ": no IP address");
  }
  Json body = Json::object();
  body.set("url", options.url).set("method", options.method).set("headers", headers);
  if (!options.client.empty()) body.set("client", options.client);
  const Asked asked = ask("explain", options.admin,
                          {.method = "POST", .target = "/v1/explain", .body = body.dump()});
  if (asked.failed) return *asked.failed;
  return {.code = 0,
          .out = options.json ? asked.json.dump() + "\n" : explain_report(options.url, asked.json),
          .err = {}};
}

Outcome run_status(const StatusOptions& options) {
  ServiceAccess access = options.admin;
  const bool node = !access.url.empty();
  if (!node) access.url = options.control;
  const Asked asked = ask("status", access, {.target = node ? "/v1/status" : "/v1/nodes"});
  if (asked.failed) return *asked.failed;
  if (options.json) return {.code = 0, .out = asked.json.dump() + "\n", .err = {}};
  return {.code = 0, .out = node ? status_report(asked.json) : nodes_report(asked.json), .err = {}};
}

}  // namespace bw::cli
