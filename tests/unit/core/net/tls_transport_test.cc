#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>

#include "core/net/transport.h"
#include "tests/unit/core/net/stream_pair.h"
#include "tests/unit/core/net/tls_files.h"

using namespace bw;
using namespace bw::net;

namespace {

// One end of a wire whose middle is the test's: bytes pass as many at a time as it says.
struct WireEnd {
  int mine = -1;   // of the transport
  int other = -1;  // of the test
  std::unique_ptr<Transport> transport;
  bool open = false;
  bool ended = false;
  std::optional<Error> error;
  std::string got;
  WriteQueue queue;
  bool finishing = false;
  bool finished = false;

  WireEnd() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    mine = fds[0];
    other = fds[1];
  }
  ~WireEnd() {
    ::close(mine);
    if (other >= 0) ::close(other);
  }
  void make(const std::shared_ptr<TlsContext>& context, bool server, const std::string& name) {
    transport = make_tls_transport(mine, server ? Error::Side::client : Error::Side::upstream,
                                   context, server, name);
  }
  bool dead() const { return error.has_value(); }
  void note(const Io& io) {
    if (io.status == Io::Status::failed && !error) error = io.error;
  }
  // What a connection does in a turn.
  void step() {
    if (dead()) return;
    if (!open) {
      const Io io = transport->handshake();
      note(io);
      open = io.status == Io::Status::progress;
      if (!open) return;
    }
    while (!dead() && queue.bytes() + transport->pending_out() > 0) {
      const Io io = transport->write(queue);
      note(io);
      if (io.status != Io::Status::progress) break;
    }
    if (finishing && !finished && queue.bytes() + transport->pending_out() == 0) {
      const Io io = transport->finish();
      note(io);
      finished = io.status == Io::Status::progress;
    }
    char block[20'000];
    while (!dead() && !ended) {
      const Io io = transport->read(block, sizeof block);
      note(io);
      if (io.status == Io::Status::again) break;
      if (io.status == Io::Status::end) ended = true;
      if (io.status == Io::Status::progress) got.append(block, io.bytes);
    }
  }
};

struct Wire {
  WireEnd client;
  WireEnd server;
  size_t passed = 0;          // bytes of the client, and then of the server too
  size_t limit = ~size_t{0};  // then it is cut
  bool cut = false;

  Wire(TlsFiles& files, const std::shared_ptr<TlsContext>& context) {
    client.make(files.client(), false, "a.test");
    server.make(context, true, {});
  }
  // Moves up to `size` bytes.
  size_t pass(WireEnd& from, WireEnd& to, size_t size) {
    char block[4096];
    size = std::min({size, sizeof block, limit - passed});
    if (size == 0) return 0;
    const ssize_t n = ::recv(from.other, block, size, 0);
    if (n == 0) ::shutdown(to.other, SHUT_WR);
    if (n <= 0) return 0;
    REQUIRE(::send(to.other, block, static_cast<size_t>(n), MSG_NOSIGNAL) == n);
    passed += static_cast<size_t>(n);
    return static_cast<size_t>(n);
  }
  void cut_now() {
    for (WireEnd* end : {&client, &server}) {
      ::close(end->other);
      end->other = -1;
    }
    cut = true;
  }
  // Until nothing moves any more; answers whether both ended.
  void run(size_t piece) {
    for (int quiet = 0; quiet < 3;) {
      client.step();
      server.step();
      if (!cut && passed >= limit) cut_now();
      const size_t moved =
          cut ? 0
              : pass(client, server, piece) + (passed < limit ? pass(server, client, piece) : 0);
      quiet = moved > 0 ? 0 : quiet + 1;
    }
  }
  void exchange() {
    client.queue.push(Slice::copy_of("question"));
    client.finishing = true;
    server.queue.push(Slice::copy_of("answer"));
    server.finishing = true;
  }
};

}  // namespace

TEST_CASE("tls transport: byte by byte, the same exchange") {
  TlsFiles files;
  const auto context = files.server({"a.test"});
  for (const size_t piece : {1, 2, 7, 4096}) {
    Wire wire(files, context);
    wire.exchange();
    wire.run(piece);
    CHECK(wire.server.got == "question");
    CHECK(wire.client.got == "answer");
    CHECK(wire.client.ended);
    CHECK(wire.server.ended);
    CHECK_FALSE(wire.client.dead());
    CHECK_FALSE(wire.server.dead());
  }
}

TEST_CASE("tls transport: cut after any byte, neither end takes it for an end") {
  TlsFiles files;
  const auto context = files.server({"a.test"});
  size_t whole = 0;
  {
    Wire wire(files, context);
    wire.exchange();
    wire.run(4096);
    whole = wire.passed;
  }
  REQUIRE(whole > 1000);
  size_t cut_in_handshake = 0;
  // Signatures vary by some bytes, so the last ones are left out.
  for (size_t limit = 0; limit + 16 < whole; limit += limit + 200 < whole ? 3 : 1) {
    Wire wire(files, context);
    wire.limit = limit;
    wire.exchange();
    wire.run(4096);
    INFO("cut after " << limit << " of " << whole);
    REQUIRE(wire.cut);
    REQUIRE((wire.client.ended || wire.client.dead()));
    REQUIRE((wire.server.ended || wire.server.dead()));
    REQUIRE_FALSE((wire.client.ended && wire.server.ended));
    for (const WireEnd* end : {&wire.client, &wire.server}) {
      if (!end->error) continue;
      REQUIRE(end->error->kind == Error::Kind::closed);
      if (!end->open) ++cut_in_handshake;
      if (!end->open) REQUIRE(end->error->retry == Error::Retry::yes);
      REQUIRE(("question" + end->got).size() <= 16);
    }
    if (wire.client.ended) REQUIRE(wire.client.got == "answer");
    if (wire.server.ended) REQUIRE(wire.server.got == "question");
  }
  CHECK(cut_in_handshake > 100);
}

TEST_CASE("tls transport: any flipped byte is refused, none is delivered") {
  TlsFiles files;
  const auto context = files.server({"a.test"});
  Wire probe(files, context);
  probe.run(4096);
  REQUIRE(probe.client.open);
  REQUIRE(probe.server.open);
  probe.client.queue.push(Slice::copy_of("question"));
  probe.client.step();
  char record[256];
  const ssize_t size = ::recv(probe.client.other, record, sizeof record, 0);
  REQUIRE(size > 20);
  record[size - 1] = static_cast<char>(record[size - 1] ^ 1);
  REQUIRE(::send(probe.server.other, record, static_cast<size_t>(size), 0) == size);
  probe.server.step();
  REQUIRE(probe.server.error);
  CHECK(probe.server.error->kind == Error::Kind::malformed);
  CHECK(probe.server.got.empty());
  probe.run(4096);  // the alert
  REQUIRE(probe.client.error);
  CHECK(probe.client.error->text == "the server sent TLS alert: bad record mac");
  CHECK(probe.client.error->kind == Error::Kind::refused);
}

TEST_CASE("tls transport: a writer whose wire is full takes no more than it may") {
  TlsFiles files;
  Wire wire(files, files.server({"a.test"}));
  wire.run(4096);
  const int small = 4096;
  ::setsockopt(wire.server.mine, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  const std::string all = pattern(1 << 20, 8);
  wire.server.queue.push(Slice::copy_of(all));
  wire.server.step();
  CHECK(wire.server.transport->pending_out() > 0);
  CHECK(wire.server.transport->pending_out() <= 96 * 1024);
  CHECK(wire.server.queue.bytes() > 800'000);
  wire.server.finishing = true;
  wire.run(3000);
  CHECK(wire.client.got == all);
  CHECK(wire.client.ended);
}

namespace {

// OpenSSL as it comes, as the client of a server transport: for what our client doesn't do.
struct RawClient {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
  SSL_SESSION* session = nullptr;

  RawClient() {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_sess_set_new_cb(context, [](SSL* s, SSL_SESSION* made) {
      auto* self = static_cast<RawClient*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(s)));
      SSL_SESSION_free(self->session);
      self->session = made;
      return 1;
    });
  }
  ~RawClient() {
    SSL_free(ssl);
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
  }
  // A connection to `server`, its handshake and "hi" from it. False if the handshake failed.
  bool connect(const std::shared_ptr<TlsContext>& server,
               const std::function<void(SSL*)>& prepare = {}) {
    SSL_free(ssl);
    ssl = SSL_new(context);
    WireEnd end;
    end.make(server, true, {});
    SSL_set_fd(ssl, end.other);
    SSL_set_tlsext_host_name(ssl, "a.test");
    if (session != nullptr) SSL_set_session(ssl, session);
    if (prepare) prepare(ssl);
    SSL_set_connect_state(ssl);
    end.queue.push(Slice::copy_of("hi"));
    char got[2];
    for (int i = 0; i < 20; ++i) {
      if (SSL_read(ssl, got, 2) == 2) {
        if (SSL_version(ssl) < TLS1_3_VERSION) {  // a renewed ticket makes no new session
          SSL_SESSION_free(session);
          session = SSL_get1_session(ssl);
        }
        SSL_shutdown(ssl);
        return true;
      }
      end.step();
      error = end.error;
    }
    return false;
  }
  bool resumed() const { return SSL_session_reused(ssl) == 1; }
  std::optional<Error> error;  // of the server
};

}  // namespace

TEST_CASE("tls: sessions resume across contexts with the same ticket keys, and only then") {
  TlsFiles files;
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const TlsCertificate pair = files.leaf("a", {"a.test"});
  const std::string one(64, '1');
  const std::string two(64, '2');
  files.write("one", one);
  files.write("two", two);
  files.write("both", two + "\n" + one);
  const auto with = [&](const std::string& keys) {
    TlsServerOptions options{.certificates = {files.leaf("z", {"z.test"}), pair}};
    if (!keys.empty()) options.ticket_keys_file = files.dir / keys;
    return files.server(options);
  };
  RawClient client;
  SSL_CTX_set_max_proto_version(client.context, version);
  REQUIRE(client.connect(with("one")));
  CHECK_FALSE(client.resumed());
  REQUIRE(client.connect(with("one")));
  CHECK(client.resumed());
  REQUIRE(client.connect(with("both")));  // turned: the old line still decrypts
  CHECK(client.resumed());
  REQUIRE(client.connect(with("two")));  // and the ticket was renewed
  CHECK(client.resumed());
  REQUIRE(client.connect(with("one")));
  CHECK_FALSE(client.resumed());
  REQUIRE(client.connect(with("")));
  CHECK_FALSE(client.resumed());
  REQUIRE(client.connect(with("")));  // keys of this process
  CHECK(client.resumed());
}

TEST_CASE("tls: a session from before client certificates were required is not resumed") {
  TlsFiles files;
  const TlsCertificate pair = files.leaf("a", {"a.test"});
  RawClient client;
  REQUIRE(client.connect(files.server({.certificates = {pair}})));
  CHECK_FALSE(client.connect(files.server(
      {.certificates = {pair}, .client_ca_file = files.dir / "ca.pem", .client_required = true})));
  CHECK(client.error);
}

TEST_CASE("tls: OCSP responses are stapled when asked for") {
  TlsFiles files;
  TlsCertificate pair = files.leaf("a", {"a.test"});
  // OCSPResponse { responseStatus tryLater }: the smallest there is.
  pair.ocsp_file = files.write("a.ocsp", std::string("\x30\x03\x0a\x01\x03", 5));
  RawClient client;
  REQUIRE(
      client.connect(files.server({.certificates = {files.leaf("z", {"z.test"}), pair}}),
                     [](SSL* ssl) { SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp); }));
  const unsigned char* response = nullptr;
  CHECK(SSL_get_tlsext_status_ocsp_resp(client.ssl, &response) == 5);
}

TEST_CASE("tls: versions before 1.2, and 1.2 where 1.3 is asked for, are refused") {
  TlsFiles files;
  const TlsCertificate pair = files.leaf("a", {"a.test"});
  RawClient old;
  SSL_CTX_set_security_level(old.context, 0);
  SSL_CTX_set_min_proto_version(old.context, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old.context, TLS1_1_VERSION);
  CHECK_FALSE(old.connect(files.server({.certificates = {pair}})));
  REQUIRE(old.error);
  CHECK(old.error->kind == Error::Kind::unsupported);
  RawClient middle;
  SSL_CTX_set_max_proto_version(middle.context, TLS1_2_VERSION);
  CHECK(middle.connect(files.server({.certificates = {pair}})));
  CHECK(middle.connect(files.server({.certificates = {pair}})));
  RawClient late;
  SSL_CTX_set_max_proto_version(late.context, TLS1_2_VERSION);
  CHECK_FALSE(late.connect(files.server({.certificates = {pair}, .min_version = "1.3"})));
}

TEST_CASE("tls: a peer that asks for key updates and does not read is cut off") {
  TlsFiles files;
  WireEnd end;
  end.make(files.server({"a.test"}), true, {});
  RawClient client;
  client.ssl = SSL_new(client.context);
  SSL_set_fd(client.ssl, end.other);
  SSL_set_connect_state(client.ssl);
  for (int i = 0; i < 20 && SSL_do_handshake(client.ssl) != 1; ++i) end.step();
  end.step();
  REQUIRE(end.open);
  for (int i = 0; i < 200'000 && !end.dead(); ++i) {
    SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(client.ssl);
    if (i % 16 == 0) end.step();
    REQUIRE(end.transport->pending_out() <= 1 << 20);
  }
  REQUIRE(end.error);
}

TEST_CASE("tls: renegotiation is refused") {
  TlsFiles files;
  WireEnd end;
  end.make(files.server({"a.test"}), true, {});
  RawClient client;
  SSL_CTX_set_max_proto_version(client.context, TLS1_2_VERSION);
  client.ssl = SSL_new(client.context);
  SSL_set_fd(client.ssl, end.other);
  SSL_set_connect_state(client.ssl);
  for (int i = 0; i < 20 && SSL_do_handshake(client.ssl) != 1; ++i) end.step();
  end.step();
  REQUIRE(end.open);
  REQUIRE(SSL_renegotiate(client.ssl) == 1);
  int result = 0;
  for (int i = 0; i < 20; ++i) {
    result = SSL_do_handshake(client.ssl);
    end.step();
  }
  CHECK(result != 1);
}
