#include "core/net/cert_maker.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/core/net/tls_files.h"

using namespace bw;
using namespace bw::net;

TEST_CASE("cert maker: refuses names that are no host names") {
  const MadeCertificate ca = *make_ca("test CA", 1);
  for (const char* name : {"", "*", "*.", "a b", "a,DNS:evil.test", "a\n", "a/b", "ä.test"}) {
    INFO(name);
    CHECK_FALSE(make_certificate(ca, {name}, 1).ok());
  }
  CHECK_FALSE(make_certificate(ca, {}, 1).ok());
  CHECK_FALSE(make_certificate(ca, {std::string(254, 'a')}, 1).ok());
  CHECK(make_certificate(ca, {std::string(200, 'a') + ".test"}, 1).ok());  // longer than a CN
  CHECK_FALSE(make_certificate(MadeCertificate{}, {"a.test"}, 1).ok());
  CHECK_FALSE(make_ca("", 1).ok());
}

TEST_CASE("cert maker: keys are their owner's only, and replaced whole") {
  TlsFiles files;
  const TlsCertificate pair = files.leaf("leaf", {"a.test"});
  struct stat key {};
  REQUIRE(::stat(pair.key_file.c_str(), &key) == 0);
  CHECK((key.st_mode & 0777) == 0600);
  files.leaf("leaf", {"b.test"});
  std::string why;
  CHECK(make_server_tls(TlsServerOptions{.certificates = {pair}}, &why).ok());
  CHECK(write_certificate(files.ca, files.dir / "no/such/ca.pem", files.dir / "ca.key")
            .error()
            .code == ENOENT);
}
