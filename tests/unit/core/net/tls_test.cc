#include "core/net/tls.h"

#include "tests/unit/core/net/stream_pair.h"
#include "tests/unit/core/net/tls_files.h"

using namespace bw;
using namespace bw::net;

namespace {

// One handshake: the errors of both ends, or none.
struct Handshake {
  std::string client;
  std::string server;
  bool ok() const { return client.empty() && server.empty(); }
};
Handshake shake(std::shared_ptr<TlsContext> server, std::shared_ptr<TlsContext> client,
                const std::string& name) {
  StreamPair pair(std::move(server));
  pair.connect(std::move(client), name);
  const auto done = [](const End& end) { return end.error || end.got == "hello"; };
  pair.client.connection->write_copy("hello");
  pair.server.when_open = [&] { pair.server.connection->write_copy("hello"); };
  // A client of TLS 1.3 is done before the server has seen its certificate.
  pair.until([&] {
    return pair.server.error || pair.client.error || (done(pair.server) && done(pair.client));
  });
  pair.settle();
  Handshake result;
  if (pair.client.error) result.client = describe(*pair.client.error);
  if (pair.server.error) result.server = describe(*pair.server.error);
  return result;
}

}  // namespace

TEST_CASE("tls: both ends open, verified, with name, version and protocol") {
  TlsFiles files;
  const std::string min = GENERATE("1.2", "1.3");
  StreamPair pair(
      files.server({.certificates = {files.leaf("s", {"www.example.test"})}, .min_version = min}));
  pair.connect(files.client({.alpn = {"http/1.1", "h2"}}), "www.Example.test");
  pair.open();
  for (const End* end : {&pair.client, &pair.server}) {
    CHECK(end->connection->is_tls());
    CHECK(end->connection->tls().version == "TLSv1.3");
    CHECK(end->connection->tls().alpn == "h2");  // the server's preference
    CHECK_FALSE(end->connection->tls().cipher.empty());
  }
  CHECK(pair.server.connection->tls().sni == "www.example.test");
  CHECK(pair.server.connection->tls().peer_name.empty());
}

TEST_CASE("tls: 8 MiB pass both ways at once, byte exact, then both ends close cleanly") {
  TlsFiles files;
  StreamPair pair(files.server({"127.0.0.1"}));
  pair.connect(files.client(), "127.0.0.1");
  const std::string up = pattern(8 << 20, 1);
  const std::string down = pattern(8 << 20, 2);
  pair.client.connection->write_copy(up);  // before it is open
  pair.client.connection->finish_writing();
  pair.open();
  size_t at = 0;
  for (size_t size = 1; at < down.size(); size = size * 3 % 50'021 + 1) {
    pair.server.connection->write_copy(std::string_view(down).substr(at, size));
    at += size;
  }
  pair.server.connection->finish_writing();
  pair.until([&] { return pair.client.ended && pair.server.ended; });
  CHECK(pair.server.got == up);
  CHECK(pair.client.got == down);
  CHECK(pair.client.connection->buffered() == 0);
  CHECK_FALSE(pair.client.error);
  CHECK_FALSE(pair.server.error);
}

TEST_CASE("tls: half close, then the other way still works") {
  TlsFiles files;
  StreamPair pair(files.server({"a.test"}));
  pair.connect(files.client(), "a.test");
  pair.client.connection->write_copy("question");
  pair.client.connection->finish_writing();
  pair.until([&] { return pair.server.ended; });
  CHECK(pair.server.got == "question");
  pair.server.connection->write_copy(pattern(1 << 20, 3));
  pair.server.connection->finish_writing();
  pair.until([&] { return pair.client.ended; });
  CHECK(pair.client.got == pattern(1 << 20, 3));
  CHECK_FALSE(pair.client.error);
}

TEST_CASE("tls: an end without close_notify is an error of kind closed, not an end") {
  TlsFiles files;
  StreamPair pair(files.server({"a.test"}));
  pair.connect(files.client(), "a.test");
  pair.open();
  pair.server.connection->write_copy("half an ans");
  pair.until([&] { return pair.client.got == "half an ans"; });
  pair.server.connection->close();
  pair.until([&] { return pair.client.error.has_value(); });
  CHECK_FALSE(pair.client.ended);
  CHECK(pair.client.error->kind == Error::Kind::closed);
  CHECK(pair.client.error->side == Error::Side::upstream);
  CHECK(pair.client.error->retry == Error::Retry::if_reused);
}

TEST_CASE("tls: a slow reader stops the writer, and the queue stays where it can be seen") {
  TlsFiles files;
  StreamPair pair(files.server({"a.test"}));
  pair.connect(files.client(), "a.test");
  pair.open();
  pair.client.connection->pause_reading();
  size_t written = 0;
  const size_t total = 24 << 20;
  const std::string block = pattern(64 * 1024, 3);
  const auto fill = [&] {
    while (written < total && pair.server.connection->buffered() <= Connection::kHighWater) {
      pair.server.connection->write_copy(block);
      written += block.size();
    }
  };
  pair.server.when_drained = fill;
  fill();
  pair.settle(2000);
  CHECK(written < total);
  CHECK(pair.server.connection->buffered() > Connection::kLowWater);
  const int progressed = pair.server.progressed;
  CHECK(progressed > 0);
  pair.settle(100);
  CHECK(pair.server.progressed == progressed);
  pair.client.connection->resume_reading();
  pair.until([&] { return pair.client.got.size() == total; });
}

TEST_CASE("tls: a pause holds back what OpenSSL has already read, a resume gives it") {
  TlsFiles files;
  StreamPair pair(files.server({"a.test"}));
  pair.connect(files.client(), "a.test");
  pair.open();
  pair.server.when_data = [&](std::string_view bytes) {
    pair.server.got += bytes;
    pair.server.connection->pause_reading();
    return bytes.size();
  };
  const std::string all = pattern(300'000, 9);
  pair.client.connection->write_copy(all);
  pair.client.connection->finish_writing();
  size_t seen = 0;
  while (seen < all.size()) {
    pair.until([&] { return pair.server.got.size() > seen; });
    seen = pair.server.got.size();
    pair.settle(20);
    REQUIRE(pair.server.got.size() == seen);
    REQUIRE_FALSE(pair.server.ended);
    pair.server.connection->resume_reading();
  }
  CHECK(pair.server.got == all);
  pair.until([&] { return pair.server.ended; });
}

TEST_CASE("tls: close_after_flush ends with close_notify, even when its user has gone") {
  TlsFiles files;
  StreamPair pair(files.server({"a.test"}));
  pair.connect(files.client(), "a.test");
  pair.open();
  const std::string all = pattern(2 << 20, 6);
  pair.server.connection->write_copy(all);
  pair.server.connection->close_after_flush();
  pair.loop.retire(std::move(pair.server.connection));
  pair.client.connection->write_copy("never read by anyone");
  pair.until([&] { return pair.client.ended; });
  CHECK(pair.client.got == all);
  CHECK_FALSE(pair.client.error);
}

TEST_CASE("tls: certificates that a client does not take") {
  TlsFiles files;
  const MadeCertificate other = *make_ca("other CA", 5);
  const struct {
    const char* what;
    TlsCertificate pair;
    const char* name;
    const char* error;
  } rows[] = {
      {"another CA", files.leaf_of(other, "o", {"a.test"}), "a.test",
       "TLS certificate of the server is refused: unable to get local issuer certificate"},
      {"another name", files.leaf("n", {"b.test", "*.a.test"}), "a.test",
       "TLS certificate of the server is refused: hostname mismatch"},
      {"two labels of a wildcard", files.leaf("w", {"*.a.test"}), "x.y.a.test",
       "TLS certificate of the server is refused: hostname mismatch"},
      {"another address", files.leaf("i", {"127.0.0.2", "127.0.0.1.test"}), "127.0.0.1",
       "TLS certificate of the server is refused: IP address mismatch"},
      {"expired", files.leaf("x", {"a.test"}, -1), "a.test",
       "TLS certificate of the server is refused: certificate has expired"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    const Handshake result =
        shake(files.server({.certificates = {row.pair}}), files.client(), row.name);
    CHECK_THAT(result.client, Catch::StartsWith(row.error));
    CHECK_THAT(result.client, Catch::Contains("refused"));
    CHECK_THAT(result.server, Catch::StartsWith("the client sent TLS alert: "));
    CHECK(
        shake(files.server({.certificates = {row.pair}}), files.client({.verify = false}), row.name)
            .ok());
  }
}

TEST_CASE("tls: names and addresses that a client takes") {
  TlsFiles files;
  const auto server = files.server({"a.test", "*.b.test", "127.0.0.1", "::1"});
  for (const char* name : {"a.test", "A.Test", "a.test.", "x.b.test", "127.0.0.1", "::1"}) {
    INFO(name);
    CHECK(shake(server, files.client(), name).ok());
  }
}

TEST_CASE("tls: a client that verifies needs a name, one that doesn't may go without") {
  TlsFiles files;
  const auto server = files.server({"a.test"});
  CHECK_THAT(shake(server, files.client(), "").client,
             Catch::StartsWith("TLS needs a name that can be verified"));
  CHECK(shake(server, files.client({.verify = false}), "").ok());
}

TEST_CASE("tls: the certificate follows SNI") {
  TlsFiles files;
  const auto server = files.server(
      {.certificates = {files.leaf("a", {"a.test", "*.a.test"}), files.leaf("b", {"b.test"})}});
  for (const char* name : {"a.test", "x.a.test", "b.test"}) {
    INFO(name);
    CHECK(shake(server, files.client(), name).ok());
  }
  CHECK_FALSE(shake(server, files.client(), "c.test").ok());
  CHECK(tls_covers(*server, "a.test", "x.a.test:443"));
  CHECK_FALSE(tls_covers(*server, "a.test", "b.test"));
}

TEST_CASE("tls: no common protocol ends the handshake on both sides") {
  TlsFiles files;
  const auto h2 = files.server({.certificates = {files.leaf("s", {"a.test"})}, .alpn = {"h2"}});
  const Handshake result = shake(h2, files.client({.alpn = {"http/1.1"}}), "a.test");
  CHECK_THAT(result.client,
             Catch::StartsWith("the server sent TLS alert: no application protocol"));
  CHECK_FALSE(result.server.empty());
  // A client without ALPN speaks HTTP/1.1 unasked.
  StreamPair pair(h2);
  pair.connect(files.client({.alpn = {}}), "a.test");
  pair.open();
  CHECK(pair.server.connection->tls().alpn.empty());
}

TEST_CASE("tls: client certificates, by CA and by name") {
  TlsFiles files;
  const MadeCertificate other = *make_ca("other CA", 5);
  const TlsCertificate server = files.leaf("server", {"a.test"});
  const TlsCertificate tier = files.leaf("tier", {"tier.test"});
  const TlsCertificate stranger = files.leaf("stranger", {"stranger.test"});
  const TlsCertificate foreign = files.leaf_of(other, "foreign", {"tier.test"});
  const TlsServerOptions asks{.certificates = {server}, .client_ca_file = files.dir / "ca.pem"};
  const auto with = [&](const TlsCertificate& pair) {
    return files.client({.cert_file = pair.cert_file, .key_file = pair.key_file});
  };
  SECTION("asked for: with and without, and never of another CA") {
    const auto context = files.server(asks);
    StreamPair pair(context);
    pair.connect(with(tier), "a.test");
    pair.open();
    CHECK(pair.server.connection->tls().peer_name == "tier.test");
    StreamPair without(context);
    without.connect(files.client(), "a.test");
    without.open();
    CHECK(without.server.connection->tls().peer_name.empty());
    CHECK_THAT(shake(context, with(foreign), "a.test").server,
               Catch::StartsWith("TLS certificate of the client is refused"));
  }
  SECTION("required") {
    TlsServerOptions options = asks;
    options.client_required = true;
    const auto context = files.server(options);
    CHECK(shake(context, with(tier), "a.test").ok());
    const Handshake result = shake(context, files.client(), "a.test");
    CHECK_THAT(result.server, Catch::Contains("peer did not return a certificate (refused"));
    CHECK_FALSE(result.client.empty());
  }
  SECTION("by name") {
    TlsServerOptions options = asks;
    options.client_names = {"edge.test", "tier.test"};
    const auto context = files.server(options);
    CHECK(shake(context, with(tier), "a.test").ok());
    CHECK_THAT(shake(context, with(stranger), "a.test").server,
               Catch::StartsWith("TLS certificate of the client is refused: hostname mismatch"));
  }
}

TEST_CASE("tls: a replaced context serves new connections, old ones keep theirs") {
  TlsFiles files;
  auto first = files.server({"a.test"});
  StreamPair pair(first);
  pair.connect(files.client(), "a.test");
  pair.open();
  first.reset();
  pair.listener.reset();
  pair.client.connection->write_copy("still here");
  pair.until([&] { return pair.server.got == "still here"; });
  CHECK(shake(files.server({"b.test"}), files.client(), "b.test").ok());
}

TEST_CASE("tls: plain HTTP at a TLS port is an error with its reason") {
  TlsFiles files;
  StreamPair pair(files.server({"a.test"}));
  pair.connect();
  pair.client.connection->write_copy("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  pair.until([&] { return pair.server.error.has_value(); });
  CHECK(pair.server.error->kind == Error::Kind::malformed);
  CHECK(pair.server.error->side == Error::Side::client);
  CHECK(pair.server.error->text == "TLS handshake with the client failed: http request");
  CHECK_FALSE(pair.server.open);
}

TEST_CASE("tls: a server that is not there, or goes during the handshake, may be asked again") {
  TlsFiles files;
  StreamPair pair;  // accepts and closes
  pair.connect(files.client(), "a.test");
  pair.until([&] { return pair.server.connection != nullptr; });
  pair.server.connection->close();
  pair.until([&] { return pair.client.error.has_value(); });
  CHECK(pair.client.error->kind == Error::Kind::closed);
  CHECK(pair.client.error->retry == Error::Retry::yes);
  CHECK_FALSE(pair.client.open);
}

TEST_CASE("tls: files that cannot be used are named with the reason") {
  TlsFiles files;
  const TlsCertificate a = files.leaf("a", {"a.test"});
  const TlsCertificate b = files.leaf("b", {"b.test"});
  const std::string garbage = files.write("garbage.pem", "not PEM");
  const std::string here = files.dir.path() + "/";
  const TlsServerOptions good{.certificates = {a}};
  const auto server = [&](const std::function<void(TlsServerOptions&)>& change) {
    TlsServerOptions options = good;
    change(options);
    std::string why;
    const auto made = make_server_tls(options, &why);
    CHECK_FALSE(made.ok());
    const size_t at = why.find(here);
    return at == std::string::npos ? why : why.erase(at, here.size());
  };
  using O = TlsServerOptions;
  CHECK(server([](O& o) { o.certificates.clear(); }) == "TLS needs a certificate");
  CHECK(server([](O& o) { o.min_version = "1.1"; }) ==
        "min_version is \"1.1\"; allowed are \"1.2\" and \"1.3\"");
  CHECK(server([&](O& o) { o.certificates[0].cert_file = here + "none.pem"; }) ==
        "cannot read certificate none.pem: No such file or directory");
  CHECK(server([&](O& o) { o.certificates[0].key_file = here + "none.key"; }) ==
        "cannot read key none.key: No such file or directory");
  CHECK(server([&](O& o) { o.certificates[0].cert_file = garbage; }) ==
        "certificate garbage.pem is not usable: no start line");
  CHECK_THAT(server([&](O& o) { o.certificates[0].key_file = garbage; }),
             Catch::StartsWith("key garbage.pem is not usable: "));
  CHECK_THAT(server([&](O& o) { o.certificates[0].key_file = b.key_file; }),
             Catch::StartsWith("key b.key does not belong to certificate "));
  CHECK(server([&](O& o) { o.certificates[0].ocsp_file = garbage; }) ==
        "OCSP response garbage.pem is not DER");
  CHECK(server([&](O& o) { o.ticket_keys_file = garbage; }) ==
        "ticket keys garbage.pem, line 1: a ticket key is an even number of hex digits");
  CHECK_THAT(server([&](O& o) { o.client_ca_file = garbage; }),
             Catch::StartsWith("CA garbage.pem is not usable: "));
  CHECK(server([&](O& o) { o.alpn = {""}; }) == "an ALPN name has 1 to 255 bytes");
  std::string why;
  CHECK_FALSE(make_client_tls({.ca_file = here + "none.pem"}, &why).ok());
  CHECK_FALSE(make_client_tls({.cert_file = a.cert_file}, &why).ok());
  CHECK(why == "a client certificate needs both cert and key");
  CHECK(make_client_tls({}, &why).ok());  // the system's store
}
