#include "geo/worker.h"

#include <unistd.h>

#include <utility>

namespace bw::geo {
namespace {

constexpr int kPortTries = 50;
constexpr Duration kCountDrops = std::chrono::seconds(1);

}  // namespace

class Worker::Port {
 public:
  Port(Worker& worker, int tcp_fd)
      : tcp_(worker.thread_->loop(), tcp_fd, worker.responder_, worker.metrics_),
        worker_(worker),
        drops_(worker.thread_->loop(), [this] { count_drops(); }) {
    drops_.arm(kCountDrops);
  }
  ~Port() { count_drops(); }

  Status bind_udp(const net::Address& address, bool reuse_port, std::string* why) {
    auto udp = net::UdpSocket::open(
        worker_.thread_->loop(), address, reuse_port,
        [this](std::string_view packet, const net::Address& from) { received(packet, from); }, why);
    if (!udp) return udp.error();
    udp_ = std::move(*udp);
    return {};
  }

 private:
  void received(std::string_view packet, const net::Address& from) {
    const net::Loop& loop = worker_.thread_->loop();
    const size_t size = worker_.responder_.answer(
        dns::Bytes(reinterpret_cast<const uint8_t*>(packet.data()), packet.size()), from.ip(),
        Responder::Transport::udp, loop.now(), loop.wall(), worker_.out_);
    if (size == 0) return;
    udp_->send(from, {reinterpret_cast<const char*>(worker_.out_.data()), size});
  }

  void count_drops() {
    if (udp_ == nullptr) return;
    const uint64_t in = udp_->dropped_in();
    const uint64_t out = udp_->dropped_out();
    worker_.metrics_.udp_dropped_in.add(in - std::exchange(counted_in_, in));
    worker_.metrics_.udp_dropped_out.add(out - std::exchange(counted_out_, out));
    drops_.arm(kCountDrops);
  }

  TcpServer tcp_;
  Worker& worker_;
  std::unique_ptr<net::UdpSocket> udp_;
  net::Timer drops_;
  uint64_t counted_in_ = 0;
  uint64_t counted_out_ = 0;
};

Worker::Worker(std::string name, Clock& clock, RateTable& rates, const DnsMetrics& metrics)
    : responder_(rates, metrics),
      metrics_(metrics),
      out_(Responder::kMaxAnswer),
      thread_(std::make_unique<net::LoopThread>(std::move(name), clock)) {}

Worker::~Worker() {
  thread_->run_and_wait([this] { ports_.clear(); });
  // What was retired on the way goes in its next turn.
  thread_->run_and_wait([] {});
}

Result<net::Address> Worker::listen(const net::Address& address, bool reuse_port,
                                    std::string* why) {
  Result<net::Address> taken = Error{};
  thread_->run_and_wait([&] { taken = open(address, reuse_port, why); });
  return taken;
}

Result<net::Address> Worker::open(const net::Address& address, bool reuse_port, std::string* why) {
  // The TCP port is taken first; where it was any, UDP may find that number taken by another.
  for (int tries = 1;; ++tries) {
    const Result<net::ListenSocket> tcp = net::open_listen_socket(address, reuse_port, why);
    if (!tcp) return tcp.error();
    auto port = std::make_unique<Port>(*this, tcp->fd);
    // What the supervisor handed over has a UDP socket of the same name.
    const bool handed = address.family() == net::Address::Family::descriptor;
    const Status udp = port->bind_udp(handed ? address : tcp->address, reuse_port, why);
    if (udp.ok()) {
      ports_.push_back(std::move(port));
      return tcp->address;
    }
    if (handed || address.port() != 0 || tries == kPortTries) return udp.error();
  }
}

void Worker::set_snapshot(Snapshot snapshot) {
  thread_->loop().post(
      [this, held = std::move(snapshot)]() mutable { responder_.set_snapshot(std::move(held)); });
}

Status address_is_free(net::Loop& loop, const net::Address& address, std::string* why) {
  const Status tcp = net::listen_address_is_free(address, why);
  if (!tcp.ok()) return tcp;
  const auto udp = net::UdpSocket::open(
      loop, address, false, [](std::string_view, const net::Address&) {}, why);
  return udp.ok() ? Status() : udp.error();
}

}  // namespace bw::geo
