#include "core/net/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "core/net/stream_core.h"

namespace bw::net {
namespace {

class StreamConnection final : public Connection {
 public:
  StreamConnection(std::shared_ptr<StreamCore> core, bool tls)
      : core_(std::move(core)), is_tls_(tls) {}
  ~StreamConnection() override { core_->abandon(); }

  void set_events(Events* events) override { core_->set_events(events); }
  void write(Slice bytes) override { core_->write(std::move(bytes)); }
  void write_copy(std::string_view bytes) override { core_->write_copy(bytes); }
  size_t buffered() const override { return core_->buffered(); }
  void finish_writing() override { core_->finish_writing(); }
  void close(bool reset) override { core_->close(reset); }
  void close_after_flush() override { core_->close_after_flush(); }
  void pause_reading() override { core_->pause_reading(); }
  void resume_reading() override { core_->resume_reading(); }
  bool is_tls() const override { return is_tls_; }
  const TlsInfo& tls() const override { return core_->tls(); }
  const Address& peer() const override { return core_->peer(); }
  const Address& local() const override { return core_->local(); }
  MonoTime last_read() const override { return core_->last_read(); }
  MonoTime last_write_progress() const override { return core_->last_write_progress(); }

 private:
  const std::shared_ptr<StreamCore> core_;
  const bool is_tls_;
};

std::unique_ptr<Connection> make(Loop& loop, int fd, Address peer, bool connects, int connect_error,
                                 const std::shared_ptr<TlsContext>& tls,
                                 const std::string& server_name) {
  const Error::Side side = connects ? Error::Side::upstream : Error::Side::client;
  auto core = std::make_shared<StreamCore>(loop, fd, std::move(peer), connects, side);
  core->start(tls == nullptr ? make_plain_transport(fd, side)
                             : make_tls_transport(fd, side, tls, !connects, server_name),
              connect_error);
  return std::make_unique<StreamConnection>(std::move(core), tls != nullptr);
}

}  // namespace

std::unique_ptr<Connection> Connection::accepted(Loop& loop, int fd, Address peer,
                                                 std::shared_ptr<TlsContext> tls) {
  return make(loop, fd, std::move(peer), false, 0, tls, {});
}

std::unique_ptr<Connection> Connection::connect(Loop& loop, const Address& to,
                                                std::shared_ptr<TlsContext> tls,
                                                std::string server_name) {
  sockaddr_storage raw;
  const socklen_t size = to.to_sockaddr(raw);
  int error = 0;
  int fd = -1;
  if (size == 0) {
    error = EAFNOSUPPORT;
  } else {
    fd = ::socket(raw.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) error = errno;
  }
  if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&raw), size) != 0 &&
      errno != EINPROGRESS) {
    error = errno;
  }
  return make(loop, fd, to, true, error, tls, server_name);
}

}  // namespace bw::net
