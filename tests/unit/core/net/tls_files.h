// Certificates of a throw-away CA in a directory of their own, for tests.
//
// Threads: the test's.
#pragma once

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/net/cert_maker.h"
#include "core/net/tls.h"
#include "tests/support/temp_dir.h"

namespace bw::net {

struct TlsFiles {
  test::TempDir dir;
  MadeCertificate ca;

  TlsFiles() : ca(*make_ca("test CA", 10)) {
    REQUIRE(write_certificate(ca, dir / "ca.pem", dir / "ca.key").ok());
  }
  // Writes NAME.pem and NAME.key.
  TlsCertificate leaf(const std::string& file, const std::vector<std::string>& names,
                      int days = 5) {
    return leaf_of(ca, file, names, days);
  }
  TlsCertificate leaf_of(const MadeCertificate& issuer, const std::string& file,
                         const std::vector<std::string>& names, int days = 5) {
    Result<MadeCertificate> made = make_certificate(issuer, names, days);
    REQUIRE(made.ok());
    TlsCertificate pair{.cert_file = dir / (file + ".pem"), .key_file = dir / (file + ".key")};
    REQUIRE(write_certificate(*made, pair.cert_file, pair.key_file).ok());
    return pair;
  }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(dir / name, std::ios::binary) << text;
    return dir / name;
  }
  std::shared_ptr<TlsContext> server(const TlsServerOptions& options) {
    std::string why;
    Result<std::shared_ptr<TlsContext>> made = make_server_tls(options, &why);
    INFO(why);
    REQUIRE(made.ok());
    return *made;
  }
  std::shared_ptr<TlsContext> server(const std::vector<std::string>& names) {
    return server(TlsServerOptions{.certificates = {leaf("server", names)}});
  }
  // Trusts the CA unless told otherwise.
  std::shared_ptr<TlsContext> client(TlsClientOptions options = {}) {
    if (options.ca_file.empty()) options.ca_file = dir / "ca.pem";
    std::string why;
    Result<std::shared_ptr<TlsContext>> made = make_client_tls(options, &why);
    INFO(why);
    REQUIRE(made.ok());
    return *made;
  }
};

}  // namespace bw::net
