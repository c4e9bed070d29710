#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "core/base/check.h"
#include "core/net/tls_context.h"
#include "core/net/transport.h"

namespace bw::net {
namespace {

constexpr size_t kRecord = 16 * 1024;  // the most plain text a TLS record holds
// Records of one system call: for big bodies 64 KiB a write cost a seventh less than 16 KiB.
constexpr size_t kGather = 64 * 1024;
// What a peer that does not read can make OpenSSL queue (answers to key updates).
constexpr size_t kMaxBacklog = 1 << 20;

// A buffer that whoever writes on this thread uses; only a blocked connection keeps one.
thread_local std::string spare_buffer;

class TlsTransport final : public Transport {
 public:
  TlsTransport(int fd, Error::Side side, std::shared_ptr<TlsContext> context,
               const std::string& server_name)
      : fd_(fd),
        side_(side),
        context_(std::move(context)),
        peer_(context_->server ? "client" : "server"),
        ssl_(context_->make_ssl(server_name)) {
    if (ssl_ == nullptr) return;
    BIO* bio = BIO_new(method());
    BW_CHECK(bio != nullptr);
    BIO_set_data(bio, this);
    SSL_set_bio(ssl_.get(), bio, bio);
  }

  Io handshake() override {
    if (ssl_ == nullptr) {
      return Io::failure(Error{.kind = Error::Kind::refused,
                               .side = side_,
                               .text = "TLS needs a name that can be verified"});
    }
    lend_buffer();
    Io io = step_handshake();
    take_buffer_back();
    return io;
  }

  Io read(char* out, size_t size) override {
    if (held_) return *held_;  // ends and failures repeat
    size_t filled = 0;
    bool drained = false;
    lend_buffer();
    while (filled < size && !drained && !held_) {
      size_t n = 0;
      ERR_clear_error();
      const int result = SSL_read_ex(ssl_.get(), out + filled, size - filled, &n);
      filled += n;
      if (result == 1) {
        more_ = SSL_has_pending(ssl_.get()) == 1;
        drained = !more_ && short_read_;
        continue;
      }
      more_ = false;
      switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
          drained = true;
          break;
        case SSL_ERROR_ZERO_RETURN:
          held_ = Io{.status = Io::Status::end};
          break;
        default:
          held_ = Io::failure(failure(false));
          send_alert();
      }
    }
    take_buffer_back();
    if (filled > 0) return Io{.bytes = filled, .drained = drained && !held_};
    return held_ ? *held_ : Io::again();
  }

  Io write(WriteQueue& queue) override {
    lend_buffer();
    Io io = encrypt(queue);
    if (io.status != Io::Status::failed) io = send_out();
    take_buffer_back();
    return io;
  }

  Io finish() override {
    if (!ended_) {
      ended_ = true;
      ERR_clear_error();
      // 0: the peer's close_notify is still to come. Failing, the connection is dead anyway, which
      // reading tells.
      (void)SSL_shutdown(ssl_.get());
    }
    if (pending_out() > 0) {
      const Io io = send_out();
      if (io.status != Io::Status::progress) return io;
      if (pending_out() > 0) return Io::again();
    }
    take_buffer_back();
    (void)::shutdown(fd_, SHUT_WR);
    closed_out_ = true;
    return {};
  }

  size_t pending_out() const override { return out_.size() - sent_; }
  bool pending_in() const override { return more_ || held_.has_value(); }
  const TlsInfo& info() const override { return info_; }

 private:
  Io step_handshake() {
    if (pending_out() > 0) {
      const Io sent = send_out();
      if (sent.status == Io::Status::failed) return sent;
    }
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1 && SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) {
      Io failed = Io::failure(failure(true));
      send_alert();
      return failed;
    }
    if (pending_out() > 0) {
      const Io sent = send_out();
      if (sent.status == Io::Status::failed) return sent;
    }
    if (result != 1) return Io::again();
    more_ = SSL_has_pending(ssl_.get()) == 1;
    note_session();
    return {};
  }

  void note_session() {
    info_.version = SSL_get_version(ssl_.get());
    info_.cipher = SSL_get_cipher_name(ssl_.get());
    const unsigned char* alpn = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &alpn, &size);
    if (size > 0) info_.alpn.assign(reinterpret_cast<const char*>(alpn), size);
    if (!context_->server) return;
    const char* sni = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    if (sni != nullptr) info_.sni = name_of_authority(sni);
    if (X509* certificate = SSL_get0_peer_certificate(ssl_.get());
        certificate != nullptr && SSL_get_verify_result(ssl_.get()) == X509_V_OK) {
      info_.peer_name = certificate_name(certificate);
    }
  }

  // Records of what is queued, up to what one system call should carry.
  Io encrypt(WriteQueue& queue) {
    char record[kRecord];
    while (!queue.empty() && pending_out() < kGather) {
      const Slice& front = queue.front();
      const char* data = front.data();
      size_t size = std::min(front.size(), kRecord);
      if (size < kRecord && size < queue.bytes()) {
        // Sealing a record costs more than copying small answers into one.
        size = queue.copy_front(record, kRecord);
        data = record;
      }
      size_t taken = 0;
      ERR_clear_error();
      const int result = SSL_write_ex(ssl_.get(), data, size, &taken);
      if (result != 1) return Io::failure(failure(false));
      queue.consume(taken);
    }
    return {};
  }

  Io send_out() {
    if (pending_out() == 0) return {};
    iovec segment{.iov_base = out_.data() + sent_, .iov_len = pending_out()};
    msghdr message{};
    message.msg_iov = &segment;
    message.msg_iovlen = 1;
    ssize_t n;
    do {
      n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
      if (errno == EAGAIN) return Io::again();
      return Io::failure(socket_error(errno, "connection lost while writing", side_));
    }
    sent_ += static_cast<size_t>(n);
    if (sent_ == out_.size()) {
      out_.clear();
      sent_ = 0;
    }
    return Io{.bytes = static_cast<size_t>(n)};
  }

  // Best effort, so that the peer learns why. Unread input would turn the close into a reset that
  // overtakes the alert.
  void send_alert() {
    if (pending_out() == 0 || send_out().status != Io::Status::progress) return;
    (void)::shutdown(fd_, SHUT_WR);
    closed_out_ = true;
    char dropped[4096];
    for (int i = 0; i < 16 && ::recv(fd_, dropped, sizeof dropped, MSG_DONTWAIT) > 0; ++i) {
    }
  }

  Error failure(bool handshake) {
    if (overflow_) {
      return Error{.kind = Error::Kind::too_large,
                   .side = side_,
                   .text = "peer makes TLS answer but does not read"};
    }
    if (read_errno_ != 0) {
      Error error = socket_error(
          read_errno_,
          handshake ? "connection lost in TLS handshake" : "connection lost while reading", side_);
      if (handshake && error.kind == Error::Kind::closed) error.retry = Error::Retry::yes;
      return error;
    }
    return tls_error(ssl_.get(), peer_, handshake, side_);
  }

  void lend_buffer() {
    if (pending_out() == 0) out_.swap(spare_buffer);
  }
  void take_buffer_back() {
    if (pending_out() > 0) return;
    out_.clear();
    sent_ = 0;
    if (out_.capacity() > spare_buffer.capacity()) out_.swap(spare_buffer);
    out_ = std::string();
  }

  static TlsTransport& self(BIO* bio) { return *static_cast<TlsTransport*>(BIO_get_data(bio)); }

  static int bio_read(BIO* bio, char* out, int size) {
    TlsTransport& t = self(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n;
    do {
      n = ::recv(t.fd_, out, static_cast<size_t>(size), 0);
    } while (n < 0 && errno == EINTR);
    t.short_read_ = n < size;
    if (n > 0) return static_cast<int>(n);
    if (n == 0) {
      t.eof_ = true;
      return 0;
    }
    if (errno == EAGAIN) {
      BIO_set_retry_read(bio);
    } else {
      t.read_errno_ = errno;
    }
    return -1;
  }

  static int bio_write(BIO* bio, const char* bytes, int size) {
    TlsTransport& t = self(bio);
    BIO_clear_retry_flags(bio);
    if (t.closed_out_) return size;  // nobody listens: an answer to a key update, say
    if (t.pending_out() + static_cast<size_t>(size) > kMaxBacklog) {
      t.overflow_ = true;
      return -1;
    }
    t.out_.append(bytes, static_cast<size_t>(size));
    return size;
  }

  static long bio_control(BIO* bio, int command, long, void*) {
    switch (command) {
      case BIO_CTRL_FLUSH:
        return 1;
      case BIO_CTRL_EOF:
        return self(bio).eof_ ? 1 : 0;
      case BIO_CTRL_WPENDING:
        return static_cast<long>(self(bio).pending_out());
      default:
        return 0;
    }
  }

  static int bio_create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
      BW_CHECK(m != nullptr);
      BIO_meth_set_read(m, bio_read);
      BIO_meth_set_write(m, bio_write);
      BIO_meth_set_ctrl(m, bio_control);
      BIO_meth_set_create(m, bio_create);
      return m;
    }();
    return made;
  }

  const int fd_;
  const Error::Side side_;
  const std::shared_ptr<TlsContext> context_;
  const std::string_view peer_;
  const SslPtr ssl_;
  TlsInfo info_;
  std::string out_;  // records; those before sent_ have left
  size_t sent_ = 0;
  std::optional<Io> held_;   // what reading came to
  bool more_ = false;        // OpenSSL holds bytes that may be a record
  bool short_read_ = false;  // the descriptor gave less than it was asked for
  bool eof_ = false;
  bool overflow_ = false;
  bool ended_ = false;       // close_notify was made
  bool closed_out_ = false;  // FIN was sent
  int read_errno_ = 0;
};

}  // namespace

std::unique_ptr<Transport> make_tls_transport(int fd, Error::Side side,
                                              const std::shared_ptr<TlsContext>& context,
                                              bool server, const std::string& server_name) {
  BW_CHECK(context->server == server);
  return std::make_unique<TlsTransport>(fd, side, context, server_name);
}

}  // namespace bw::net
