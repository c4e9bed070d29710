#include "tests/bench/reference/server.h"

#include <openssl/err.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <unordered_map>
#include <vector>

#include "tests/bench/load/content.h"
#include "tests/bench/load/loopback.h"

namespace bw::bench {
namespace {

struct Listener {
  event_base* base;
  SSL_CTX* tls;
  MakePeer make;
};

int listen_on(uint16_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const sockaddr_in address = loopback(port);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      listen(listener, 4096) < 0) {
    std::perror("listen");
    std::exit(1);
  }
  return listener;
}

void on_accept(int listener, short, void* given) {
  const auto& how = *static_cast<Listener*>(given);
  while (true) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    send_at_once(socket);
    SSL* ssl = nullptr;
    if (how.tls != nullptr) {
      ssl = SSL_new(how.tls);
      SSL_set_fd(ssl, socket);
      SSL_set_accept_state(ssl);
    }
    how.make(how.base, socket, ssl);  // lives until its connection ends
  }
}

SSL_CTX* make_server_tls(const ServerOptions& options, bool h2) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context, options.cert.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    std::fprintf(stderr, "no certificate\n");
    std::exit(1);
  }
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_alpn_select_cb(
      context,
      [](SSL*, const unsigned char** out, unsigned char* length, const unsigned char* in,
         unsigned size, void* wanted) {
        const std::string_view name = wanted != nullptr ? "\2h2" : "\10http/1.1";
        return SSL_select_next_proto(const_cast<unsigned char**>(out), length,
                                     reinterpret_cast<const unsigned char*>(name.data()),
                                     static_cast<unsigned>(name.size()), in,
                                     size) == OPENSSL_NPN_NEGOTIATED
                   ? SSL_TLSEXT_ERR_OK
                   : SSL_TLSEXT_ERR_ALERT_FATAL;
      },
      h2 ? context : nullptr);
  return context;
}

}  // namespace

ServerOptions parse_server_options(int count, char** arguments) {
  ServerOptions options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const auto port = static_cast<uint16_t>(std::atoi(arguments[i + 1]));
    if (name == "--port") options.port = port;
    if (name == "--tls-port") options.tls_port = port;
    if (name == "--origin") options.origin_port = port;
    if (name == "--cert") options.cert = arguments[i + 1];
    if (name == "--key") options.key = arguments[i + 1];
  }
  return options;
}

Transport::~Transport() {
  SSL_free(ssl_);
  close(socket_);
}

int64_t Transport::settle(int done) {
  if (done > 0) return done;
  const int why = SSL_get_error(ssl_, done);
  blocked = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
  return -1;
}

int64_t Transport::read(char* data, size_t size) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return settle(SSL_read(ssl_, data, static_cast<int>(size)));
  }
  const ssize_t got = recv(socket_, data, size, 0);
  blocked = got < 0 && errno == EAGAIN;
  return got > 0 ? got : -1;
}

int64_t Transport::write(const char* data, size_t size) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return settle(SSL_write(ssl_, data, static_cast<int>(size)));
  }
  const ssize_t sent = send(socket_, data, size, MSG_NOSIGNAL);
  blocked = sent < 0 && errno == EAGAIN;
  return sent;
}

int64_t Transport::write(const iovec* pieces, int count) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = static_cast<size_t>(count);
  const ssize_t sent = sendmsg(socket_, &message, MSG_NOSIGNAL);
  blocked = sent < 0 && errno == EAGAIN;
  return sent;
}

Peer::Peer(event_base* base, int socket, SSL* ssl) : transport_(socket, ssl) {
  read_event_ = event_new(base, socket, EV_READ | EV_PERSIST, on_event, this);
  write_event_ = event_new(base, socket, EV_WRITE | EV_PERSIST, on_event, this);
  event_add(read_event_, nullptr);
}

Peer::~Peer() {
  event_free(read_event_);
  event_free(write_event_);
}

void Peer::on_event(int, short what, void* self) {
  Peer* peer = static_cast<Peer*>(self);
  if (!((what & EV_READ) != 0 ? peer->readable() : peer->writable())) delete peer;
}

void Peer::want_write(bool on) {
  if (on == writing_) return;
  writing_ = on;
  if (on) {
    event_add(write_event_, nullptr);
  } else {
    event_del(write_event_);
  }
}

int serve(const ServerOptions& options, bool h2, MakePeer make) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  event_base* base = event_base_new();
  Listener plain{base, nullptr, make}, tls{base, nullptr, make};
  if (options.port != 0) {
    event_add(event_new(base, listen_on(options.port), EV_READ | EV_PERSIST, on_accept, &plain),
              nullptr);
  }
  if (options.tls_port != 0) {
    tls.tls = make_server_tls(options, h2);
    event_add(event_new(base, listen_on(options.tls_port), EV_READ | EV_PERSIST, on_accept, &tls),
              nullptr);
  }
  return event_base_dispatch(base) < 0 ? 1 : 0;
}

const Answer& answer_of(std::string_view path) {
  static std::unordered_map<std::string, Answer> answers;
  static std::string last;
  static const Answer* found = nullptr;
  if (path == last) return *found;
  last = path;
  // An origin of millions of objects makes most of them anew; an answer is written long before as
  // many others were made.
  constexpr size_t kKept = 1024, kPassing = 16384;
  static std::vector<Answer> passing(kPassing);
  static size_t turn = 0;
  const auto kept = answers.find(last);
  const bool full = answers.size() >= kKept;
  Answer& answer = kept != answers.end() ? kept->second
                   : full                ? passing[turn++ % kPassing]
                                         : answers[last];
  if (kept == answers.end()) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char date[40];
    std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    answer.bytes = "HTTP/1.1 200 OK\r\nDate: " + std::string(date) +
                   "\r\nContent-Type: application/octet-stream\r\n"
                   "Cache-Control: public, max-age=86400\r\nContent-Length: " +
                   std::to_string(length_of(path)) + "\r\n\r\n";
    answer.head = answer.bytes.size();
    answer.bytes += body_of(path);
  }
  found = &answer;
  return answer;
}

}  // namespace bw::bench
