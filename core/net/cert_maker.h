// Makes throw-away certificates for the lab and for tests: a CA, and leaves signed by it.
//
// Threads: pure functions. Keys are ECDSA P-256 and unencrypted. Not for production: nothing is
// revoked or logged.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace bw::net {

// PEM text of a certificate and its key.
struct MadeCertificate {
  std::string cert_pem;
  std::string key_pem;
};

// A self-signed CA called `name`, valid from an hour ago for `days` (negative: already expired).
Result<MadeCertificate> make_ca(std::string_view name, int days);
// A leaf for `names`: DNS names (`*.example.test` too) and IP literals; at least one. The first is
// its subject. Good for servers and clients.
Result<MadeCertificate> make_certificate(const MadeCertificate& ca,
                                         const std::vector<std::string>& names, int days);
// Writes both files; the key with mode 0600.
Status write_certificate(const MadeCertificate& made, const std::string& cert_file,
                         const std::string& key_file);

}  // namespace bw::net
