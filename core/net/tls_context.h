// What a TlsContext holds: OpenSSL contexts, one a certificate, and the rules to choose by.
//
// Threads: immutable once made; OpenSSL counts references by itself. For the .cc files of net.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/net/tls_names.h"
#include "core/net/tls_tickets.h"

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

namespace bw::net {

struct SslFree {
  void operator()(ssl_ctx_st* context) const;
  void operator()(ssl_st* ssl) const;
};
using SslContextPtr = std::unique_ptr<ssl_ctx_st, SslFree>;
using SslPtr = std::unique_ptr<ssl_st, SslFree>;

class TlsContext {
 public:
  struct Served {
    SslContextPtr context;
    std::string ocsp;  // DER
  };

  explicit TlsContext(TicketKeys keys) : tickets(std::move(keys)) {}
  // The state of one connection; null if it cannot be made for this name. `server_name`: of a
  // client only.
  SslPtr make_ssl(const std::string& server_name) const;

  bool server = false;
  bool verify = true;                     // of a client
  std::vector<Served> served;             // of a client: one
  CertificateNames names;                 // of a server, as `served`
  std::string alpn;                       // each name with its length in front
  std::vector<std::string> client_names;  // of a server
  TicketKeys tickets;
};

// The first DNS name, else the common name of the subject.
std::string certificate_name(x509_st* certificate);

// What OpenSSL's error queue says, as static text. `who`: the peer ("client", "server").
Error tls_error(ssl_st* ssl, std::string_view who, bool handshake, Error::Side side);

}  // namespace bw::net
