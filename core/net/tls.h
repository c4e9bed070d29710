// TLS configuration: certificates by SNI, ALPN, tickets, trust. OpenSSL stays in the .cc.
//
// Threads: a context is immutable after it is made and shared by all loops; a reload makes a new
// one (connections keep theirs). Making one reads files: not on a loop. Bounds: files of 1 MiB.
// Errors: `why` receives a line for people that names the file. TLS 1.2 and 1.3 only, without
// renegotiation, compression and early data.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace bw::net {

class TlsContext;  // core/net/tls_context.h

struct TlsCertificate {
  std::string cert_file;  // PEM chain
  std::string key_file;   // PEM
  std::string ocsp_file;  // DER response to staple; empty: none
  bool is_default = false;
};

struct TlsServerOptions {
  std::vector<TlsCertificate> certificates;  // by SNI: exact, one-label wildcard, default, first
  std::string min_version = "1.2";
  std::string ticket_keys_file;  // lines of 32+ hex digits; empty: keys of this process
  std::vector<std::string> alpn = {"h2", "http/1.1"};
  std::string client_ca_file;             // non-empty: ask for client certificates of this CA
  std::vector<std::string> client_names;  // DNS names accepted from them; empty: any of that CA
  bool client_required = false;
};

struct TlsClientOptions {
  std::string ca_file;  // empty or "system": the system's store
  bool verify = true;   // the name given to Connection::connect, or IP, must be the certificate's
  std::vector<std::string> alpn = {"http/1.1"};
  std::string cert_file;  // client certificate; empty: none
  std::string key_file;
};

Result<std::shared_ptr<TlsContext>> make_server_tls(const TlsServerOptions& options,
                                                    std::string* why);
Result<std::shared_ptr<TlsContext>> make_client_tls(const TlsClientOptions& options,
                                                    std::string* why);
// Whether one certificate of this server context is good for both names (421, RFC 9110 15.5.20);
// true when they are the same or there was no SNI. `authority` may carry a port.
bool tls_covers(const TlsContext& context, std::string_view sni, std::string_view authority);

}  // namespace bw::net
