#include "tests/bench/load/connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tests/bench/load/loopback.h"

namespace bw::bench {
namespace {

std::array<char, 256 << 10> input;  // of whichever connection reads

}  // namespace

ssl_ctx_st* make_client_tls(bool h2) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, 64 << 10);
  SSL_CTX_set1_groups_list(context, "X25519:P-256");
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  const std::string_view names = h2 ? "\2h2" : "\10http/1.1";
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(names.data()),
                          static_cast<unsigned>(names.size()));
  return context;
}

const char* Connection::connect(int poll, uint16_t port) {
  poll_ = poll;
  asked = false;
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return "no socket";
  send_at_once(socket_);
  const sockaddr_in address = loopback(port);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 &&
      errno != EINPROGRESS) {
    return "connect failed";
  }
  session_ = tally_.options.h2 ? make_h2_session(tally_) : make_h1_session(tally_);
  if (tls_ != nullptr) {
    ssl_ = SSL_new(tls_);
    SSL_set_fd(ssl_, socket_);
    SSL_set_connect_state(ssl_);
    SSL_set_tlsext_host_name(ssl_, tally_.options.authority.c_str());
  }
  waits_ = EPOLLIN | EPOLLOUT;
  epoll_event event{};
  event.events = waits_;
  event.data.ptr = this;
  epoll_ctl(poll_, EPOLL_CTL_ADD, socket_, &event);
  return nullptr;
}

void Connection::close() {
  if (socket_ < 0) return;
  SSL_free(ssl_);
  ssl_ = nullptr;
  const linger reset{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(socket_);
  socket_ = -1;
  open_ = false;
  out_.clear();
  sent_ = 0;
}

void Connection::wait_for(uint32_t events) {
  if (events == waits_) return;
  waits_ = events;
  epoll_event event{};
  event.events = events;
  event.data.ptr = this;
  epoll_ctl(poll_, EPOLL_CTL_MOD, socket_, &event);
}

const char* Connection::open() {
  open_ = true;
  wait_for(EPOLLIN);
  session_->begin(out_);
  return nullptr;
}

const char* Connection::ready(uint32_t events) {
  if (!open_) {
    if (ssl_ == nullptr) {
      if ((events & EPOLLOUT) == 0) return "connect failed";
      return open();
    }
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_);
    if (done != 1) {
      const int why = SSL_get_error(ssl_, done);
      if (why == SSL_ERROR_WANT_WRITE) return nullptr;
      if (why != SSL_ERROR_WANT_READ) return "the handshake failed";
      wait_for(EPOLLIN);
      return nullptr;
    }
    const unsigned char* name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl_, &name, &length);
    if (tally_.options.h2 && length != 2) return "no h2 by ALPN";
    return open();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return nullptr;
  return ssl_ != nullptr ? read_tls() : read_plain();
}

const char* Connection::read_plain() {
  const ssize_t got = recv(socket_, input.data(), input.size(), 0);
  if (got < 0) return errno == EAGAIN ? nullptr : "the connection broke";
  if (got == 0) return "the server closed";
  return session_->receive(input.data(), static_cast<size_t>(got), out_);
}

const char* Connection::read_tls() {
  while (true) {
    ERR_clear_error();
    const int got = SSL_read(ssl_, input.data(), static_cast<int>(input.size()));
    if (got <= 0) {
      const int why = SSL_get_error(ssl_, got);
      if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return nullptr;
      return "the server closed";
    }
    if (const char* fault = session_->receive(input.data(), static_cast<size_t>(got), out_)) {
      return fault;
    }
    // Behind the only answer comes the server's close.
    if (tally_.options.close && asked && session_->room() > 0) return nullptr;
    if (!SSL_has_pending(ssl_)) return nullptr;
  }
}

const char* Connection::flush() {
  while (sent_ < out_.size()) {
    const size_t left = out_.size() - sent_;
    ssize_t took = 0;
    if (ssl_ != nullptr) {
      ERR_clear_error();
      took = SSL_write(ssl_, out_.data() + sent_, static_cast<int>(left));
      if (took <= 0) {
        const int why = SSL_get_error(ssl_, static_cast<int>(took));
        if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ)
          return "the connection broke";
        took = 0;
      }
    } else {
      took = send(socket_, out_.data() + sent_, left, MSG_NOSIGNAL);
      if (took < 0 && errno != EAGAIN) return "the connection broke";
      if (took < 0) took = 0;
    }
    if (took == 0) {
      wait_for(EPOLLIN | EPOLLOUT);
      return nullptr;
    }
    sent_ += static_cast<size_t>(took);
  }
  out_.clear();
  sent_ = 0;
  if (open_) wait_for(EPOLLIN);
  return nullptr;
}

}  // namespace bw::bench
