#include "geo/prober.h"

#include <algorithm>
#include <utility>

namespace bw::geo {

// The probes of one address.
class Prober::Probe final : public http::ClientHandler {
 public:
  Probe(Prober& prober, const ProbeUrl& url, const net::Ip& ip, size_t pop, size_t address)
      : prober_(prober), pop_(pop), address_(address), timer_(prober.loop_, [this] { ask(); }) {
    target_.address = net::Address(ip, url.port);
    if (url.tls) {
      target_.tls = prober.tls_;
      target_.server_name = url.host;
    }
    head_.method = "GET";
    head_.scheme = url.tls ? "https" : "http";
    head_.authority = url.authority;
    head_.target = url.target;
    head_.fields.add("User-Agent", "breakwater-geodns");
    timer_.arm(Duration::zero());
  }

  void on_head(const http::ResponseHead& head) override {
    good_ = head.status >= 200 && head.status < 300;
  }
  void on_body(std::string_view) override {}
  void on_end(const http::FieldList&, bool) override { told(good_); }
  void on_error(Error) override { told(false); }

 private:
  void ask() {
    timer_.arm(prober_.settings_.interval);
    if (stream_ != nullptr) return;
    const Duration timeout = prober_.settings_.timeout;
    good_ = false;
    stream_ = prober_.pool_->fetch(
        target_, head_, false,
        {.connect = timeout, .first_byte = timeout, .between_bytes = timeout, .total = timeout},
        *this);
  }
  void told(bool good) {
    prober_.loop_.retire(std::move(stream_));
    // The next probe shakes hands anew.
    prober_.loop_.post([pool = std::weak_ptr(prober_.pool_)] {
      if (const auto held = pool.lock()) held->close_idle();
    });
    prober_.result_(pop_, address_, good);
  }

  Prober& prober_;
  size_t pop_;
  size_t address_;
  http::Target target_;
  http::RequestHead head_;
  std::unique_ptr<http::ClientStream> stream_;
  bool good_ = false;
  net::Timer timer_;
};

Prober::Prober(net::Loop& loop, const ProbeSettings& settings, Result result)
    : loop_(loop),
      settings_(settings),
      result_(std::move(result)),
      pool_(std::make_shared<http::ClientPool>(loop, http::ClientLimits{})) {}

Prober::~Prober() = default;

std::unique_ptr<Prober> Prober::make(net::Loop& loop, const ProbeSettings& settings,
                                     const std::vector<Pop>& pops, Result result,
                                     std::string* why) {
  std::unique_ptr<Prober> prober(new Prober(loop, settings, std::move(result)));
  const bool tls = std::any_of(pops.begin(), pops.end(),
                               [](const Pop& pop) { return pop.probe && pop.probe->tls; });
  if (tls) {
    net::TlsClientOptions options;
    options.ca_file = settings.ca;
    auto made = net::make_client_tls(options, why);
    if (!made) return nullptr;
    prober->tls_ = *made;
  }
  for (size_t p = 0; p < pops.size(); ++p) {
    if (!pops[p].probe) continue;
    for (size_t i = 0; i < pops[p].addresses.size(); ++i) {
      prober->probes_.push_back(
          std::make_unique<Probe>(*prober, *pops[p].probe, pops[p].addresses[i], p, i));
    }
  }
  return prober;
}

}  // namespace bw::geo
