#include "core/net/transport.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace bw::net {
namespace {

constexpr size_t kSegments = 64;
// Small pieces are short-lived: they share blocks of the thread instead of one each.
constexpr size_t kCopyBlock = 32 * 1024;
constexpr size_t kLargestShared = kCopyBlock / 4;
// The most segments whose memory is kept for other queues, and that lie dead in front of others.
constexpr size_t kSpareSegments = 256;
constexpr size_t kSpareQueues = 64;
constexpr size_t kFirstSegments = 8;

thread_local std::vector<std::vector<Slice>> spare_queues;

// The block that is being filled.
struct CopyBlock {
  Ref<Buffer> buffer;
  size_t used = 0;

  char* take(size_t size) {
    if (buffer && buffer->pins() == 1) used = 0;  // all that was in it has left
    if (!buffer || used + size > kCopyBlock) {
      buffer = Buffer::make(kCopyBlock);
      used = 0;
    }
    return buffer->data() + std::exchange(used, used + size);
  }
};
thread_local CopyBlock copy_block;

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

void WriteQueue::append(Slice slice) {
  if (slices_.capacity() == 0) {
    if (spare_queues.empty()) {
      slices_.reserve(kFirstSegments);
    } else {
      slices_.swap(spare_queues.back());
      spare_queues.pop_back();
    }
  }
  slices_.push_back(std::move(slice));
}

void WriteQueue::push(Slice slice) {
  if (slice.empty()) return;
  bytes_ += slice.size();
  append(std::move(slice));
}

void WriteQueue::push_copy(std::string_view bytes) {
  if (bytes.size() > kLargestShared) {
    push(Slice::copy_of(bytes));
    return;
  }
  if (bytes.empty()) return;
  CopyBlock& block = copy_block;
  char* const to = block.take(bytes.size());
  std::memcpy(to, bytes.data(), bytes.size());
  if (bytes_ == 0 || !slices_.back().try_extend(block.buffer.get(), to, bytes.size())) {
    append(Slice(block.buffer, to, bytes.size()));
  }
  bytes_ += bytes.size();
}

size_t WriteQueue::gather(iovec* out, size_t limit) const {
  const size_t count = std::min(limit, slices_.size() - first_);
  for (size_t i = 0; i < count; ++i) {
    const Slice& slice = slices_[first_ + i];
    out[i].iov_base = const_cast<char*>(slice.data());
    out[i].iov_len = slice.size();
  }
  return count;
}

size_t WriteQueue::copy_front(char* out, size_t size) const {
  size_t filled = 0;
  for (size_t i = first_; i < slices_.size() && filled < size; ++i) {
    const size_t n = std::min(size - filled, slices_[i].size());
    std::memcpy(out + filled, slices_[i].data(), n);
    filled += n;
  }
  return filled;
}

void WriteQueue::consume(size_t bytes) {
  bytes_ -= bytes;
  if (bytes_ == 0) {
    clear();
    return;
  }
  while (bytes > 0) {
    Slice& first = slices_[first_];
    if (bytes < first.size()) {
      first.remove_prefix(bytes);
      break;
    }
    bytes -= first.size();
    first = Slice();
    ++first_;
  }
  if (first_ >= kSpareSegments && first_ * 2 >= slices_.size()) {
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
}

void WriteQueue::clear() {
  slices_.clear();
  first_ = bytes_ = 0;
  if (slices_.capacity() == 0) return;
  if (slices_.capacity() <= kSpareSegments && spare_queues.size() < kSpareQueues) {
    spare_queues.push_back(std::move(slices_));
  }
  slices_ = std::vector<Slice>();
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
