// Where the purge service is and how one is known there: URL, token, trust.
//
// Threads: made at start (reads files); resolve() on the loop, looks names up on the executor.
// Errors: `why` receives a line for people.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/executor.h"
#include "core/base/result.h"
#include "core/base/task.h"
#include "core/http/client.h"
#include "core/http/message.h"
#include "core/net/loop.h"

namespace bw::purge {

struct ServiceLinkOptions {
  std::string url;         // http://HOST:PORT or https://HOST:PORT
  std::string token_file;  // first line; empty: no token
  std::string ca_file;     // of https; empty: the system's store
};

class ServiceLink {
 public:
  static Result<std::shared_ptr<ServiceLink>> make(const ServiceLinkOptions& options,
                                                   std::string* why);

  // A head with authority, token and fields set.
  http::RequestHead head(std::string_view method, std::string target) const;
  // Answers in a later turn of `loop` with an address for the service's name. An IP literal needs
  // no executor; without one a name is Error unsupported.
  void resolve(net::Loop& loop, Executor* executor,
               UniqueFunction<void(Result<http::Target>)> done) const;
  const std::string& url() const { return url_; }

 private:
  ServiceLink() = default;
  std::string url_;
  std::string host_;
  uint16_t port_ = 0;
  std::string authority_;
  bool https_ = false;
  std::string token_;
  std::shared_ptr<net::TlsContext> tls_;
};

// http(s)://HOST[:PORT][/], taken apart.
struct ServiceUrl {
  bool https = false;
  std::string host;  // without brackets
  uint16_t port = 0;
  std::string authority;
};
std::optional<ServiceUrl> parse_service_url(std::string_view url);

}  // namespace bw::purge
