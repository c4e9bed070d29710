#include "core/net/transport.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bw::net {
namespace {

constexpr size_t kSegments = 64;

class PlainTransport final : public Transport {
 public:
  PlainTransport(int fd, Error::Side side) : fd_(fd), side_(side) {}

  Io handshake() override { return {}; }

  Io read(char* out, size_t size) override {
    const ssize_t n = ::recv(fd_, out, size, 0);
    if (n > 0) {
      const size_t bytes = static_cast<size_t>(n);
      return Io{.bytes = bytes, .drained = bytes < size};
    }
    if (n == 0) return Io{.status = Io::Status::end};
    if (errno == EAGAIN || errno == EINTR) return Io::again();
    return Io::failure(socket_error(errno, "connection lost while reading", side_));
  }

  Io write(WriteQueue& queue) override {
    iovec segments[kSegments];
    msghdr message{};
    message.msg_iov = segments;
    message.msg_iovlen = queue.gather(segments, kSegments);
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n >= 0) {
      queue.consume(static_cast<size_t>(n));
      return Io{.bytes = static_cast<size_t>(n)};
    }
    if (errno == EAGAIN || errno == EINTR) return Io::again();
    return Io::failure(socket_error(errno, "connection lost while writing", side_));
  }

  Io finish() override {
    (void)::shutdown(fd_, SHUT_WR);  // fails only when the peer is gone, which reading tells
    return {};
  }

  size_t pending_out() const override { return 0; }
  bool pending_in() const override { return false; }
  const TlsInfo& info() const override {
    static const TlsInfo none;
    return none;
  }

 private:
  const int fd_;
  const Error::Side side_;
};

}  // namespace

void WriteQueue::push(Slice slice) {
  if (slice.empty()) return;
  bytes_ += slice.size();
  slices_.push_back(std::move(slice));
}

size_t WriteQueue::gather(iovec* out, size_t limit) const {
  const size_t count = std::min(limit, slices_.size());
  for (size_t i = 0; i < count; ++i) {
    out[i].iov_base = const_cast<char*>(slices_[i].data());
    out[i].iov_len = slices_[i].size();
  }
  return count;
}

size_t WriteQueue::copy_front(char* out, size_t size) const {
  size_t filled = 0;
  for (const Slice& slice : slices_) {
    const size_t n = std::min(size - filled, slice.size());
    std::memcpy(out + filled, slice.data(), n);
    filled += n;
    if (filled == size) break;
  }
  return filled;
}

void WriteQueue::consume(size_t bytes) {
  bytes_ -= bytes;
  while (bytes > 0) {
    Slice& first = slices_.front();
    if (bytes < first.size()) {
      first.remove_prefix(bytes);
      return;
    }
    bytes -= first.size();
    slices_.pop_front();
  }
}

void WriteQueue::clear() {
  slices_.clear();
  bytes_ = 0;
}

std::unique_ptr<Transport> make_plain_transport(int fd, Error::Side side) {
  return std::make_unique<PlainTransport>(fd, side);
}

Error socket_error(int code, std::string_view text, Error::Side side) {
  Error error = errno_error(code, text, side);
  if (code == ECONNRESET || code == EPIPE || code == ENOTCONN || code == ETIMEDOUT) {
    error.kind = Error::Kind::closed;
    error.retry = Error::Retry::if_reused;
  }
  return error;
}

}  // namespace bw::net
