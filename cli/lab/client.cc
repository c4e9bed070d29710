#include "cli/lab/client.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "cli/lab/pattern.h"

namespace bw::cli {
namespace {

constexpr size_t kPiece = 64 * 1024;

}  // namespace

std::string Got::field(std::string_view name) const { return fields.combined(name).value_or(""); }

std::string Got::text() const {
  if (error) return "no whole answer (" + describe(*error) + ")";
  std::string text = std::to_string(status);
  const std::string cache = field("cache-status");
  if (!cache.empty()) text += ", Cache-Status: " + cache;
  return text;
}

// Those who wait for the last of them.
struct Client::Crowd {
  virtual ~Crowd() = default;
  virtual void back(Flight& flight) {
    (void)flight;
    const std::lock_guard lock(mutex);
    if (--out == 0) all_back.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex);
    all_back.wait(lock, [this] { return out == 0; });
  }
  std::mutex mutex;
  std::condition_variable all_back;
  size_t out = 0;
};

// One request under way; on the client's loop.
class Client::Flight final : public http::ClientHandler {
 public:
  Flight(Client& client, const Ask& ask, Got& got, Crowd& crowd)
      : client_(client), ask_(ask), got_(got), crowd_(crowd) {}

  void start() {
    http::Target target;
    target.address = ask_.to;
    http::RequestHead head;
    head.method = ask_.method;
    head.scheme = ask_.over == Ask::Over::http1 ? "http" : "https";
    head.authority = ask_.host;
    head.target = ask_.target;
    for (const auto& [name, value] : ask_.fields) head.fields.add(name, value);
    const uint64_t size = ask_.upload != 0 ? ask_.upload : ask_.body.size();
    if (size != 0) head.content_length = size;
    head.has_body = size != 0;
    if (ask_.over != Ask::Over::http1) {
      const bool h2 = ask_.over == Ask::Over::http2_tls;
      target.tls = h2 ? client_.http2_tls_ : client_.http1_tls_;
      target.protocol = h2 ? http::Target::Protocol::negotiate : http::Target::Protocol::http1;
      target.server_name = ask_.host.substr(0, ask_.host.find(':'));
    }
    started_ = loop().clock().mono();
    stream_ = client_.pool_->fetch(target, head, size != 0,
                                   {.connect = ask_.within,
                                    .first_byte = ask_.within,
                                    .between_bytes = ask_.within,
                                    .total = ask_.within},
                                   *this);
    if (size != 0) on_writable();
  }

  void on_writable() override {
    if (sent_all_) return;
    if (ask_.upload == 0) {
      stream_->send_body(Slice::copy_of(ask_.body));
      sent_ = ask_.body.size();
    }
    while (sent_ < ask_.upload && stream_->wants_more()) {
      const size_t size = std::min<uint64_t>(kPiece, ask_.upload - sent_);
      const Ref<Buffer> buffer = Buffer::make(size);
      fill_pattern(sent_, buffer->data(), size);
      stream_->send_body(Slice(buffer, buffer->data(), size));
      sent_ += size;
    }
    if (sent_ < ask_.upload) return;
    sent_all_ = true;
    stream_->finish();
  }
  void on_head(const http::ResponseHead& head) override {
    got_.status = head.status;
    got_.version = head.version;
    got_.fields = head.fields;
    got_.first_byte = since();
  }
  void on_body(std::string_view piece) override {
    if (got_.size == 0) {
      got_.first_byte = since();
      if (ask_.on_first_byte) ask_.on_first_byte();
    }
    if (ask_.on_piece) {
      ask_.on_piece(got_.size, piece);
    } else {
      got_.body += piece;
    }
    got_.size += piece.size();
  }
  void on_end(const http::FieldList&, bool) override { back(); }
  void on_error(Error error) override {
    // A kept connection whose server went away in between: asked once more, as clients do.
    if (error.retry != Error::Retry::no && !again_ && got_.status == 0 && ask_.upload == 0) {
      again_ = true;
      sent_all_ = false;
      loop().retire(std::move(stream_));
      loop().post([this] { start(); });
      return;
    }
    got_.error = error;
    back();
  }

 private:
  net::Loop& loop() { return client_.thread_->loop(); }
  Duration since() { return loop().clock().mono() - started_; }
  void back() {
    got_.total = since();
    loop().retire(std::move(stream_));
    // After the retired stream is gone nothing calls this flight: its owner may go.
    loop().post([&crowd = crowd_, this] { crowd.back(*this); });
  }

  Client& client_;
  const Ask& ask_;
  Got& got_;
  Crowd& crowd_;
  std::unique_ptr<http::ClientStream> stream_;
  MonoTime started_;
  uint64_t sent_ = 0;
  bool sent_all_ = false;
  bool again_ = false;
};

Client::Client(Clock& clock, std::shared_ptr<net::TlsContext> http1,
               std::shared_ptr<net::TlsContext> h2)
    : http1_tls_(std::move(http1)),
      http2_tls_(std::move(h2)),
      thread_(std::make_unique<net::LoopThread>("lab-client", clock)) {
  http::ClientLimits limits;
  limits.max_connections = 1000;
  limits.idle_timeout = std::chrono::seconds(5);
  thread_->run_and_wait(
      [&] { pool_ = std::make_unique<http::ClientPool>(thread_->loop(), limits); });
}

Client::~Client() {
  thread_->run_and_wait([this] { pool_.reset(); });
  thread_->run_and_wait([] {});
}

std::unique_ptr<Client> Client::make(Clock& clock, const std::string& ca_file, std::string* why) {
  net::TlsClientOptions options;
  options.ca_file = ca_file;
  auto http1 = net::make_client_tls(options, why);
  options.alpn = {"h2"};
  auto h2 = net::make_client_tls(options, why);
  if (!http1 || !h2) return nullptr;
  return std::unique_ptr<Client>(new Client(clock, *http1, *h2));
}

Got Client::ask(const Ask& ask) { return std::move(ask_all({ask}).front()); }

std::vector<Got> Client::ask_all(const std::vector<Ask>& asks) {
  std::vector<Got> got(asks.size());
  std::vector<std::unique_ptr<Flight>> flights;
  Crowd crowd;
  crowd.out = asks.size();
  for (size_t i = 0; i < asks.size(); ++i) {
    flights.push_back(std::make_unique<Flight>(*this, asks[i], got[i], crowd));
  }
  if (asks.empty()) return got;
  thread_->loop().post([&flights] {
    for (const auto& flight : flights) flight->start();
  });
  crowd.wait();
  thread_->run_and_wait([&flights] { flights.clear(); });
  return got;
}

// So many seats; whoever comes back takes the next request.
struct Client::Flow final : Client::Crowd {
  struct Seat {
    Ask ask;
    Got got;
    std::unique_ptr<Flight> flight;
  };
  Client& client;
  const std::function<bool(Ask&)>& next;
  const std::function<void(const Ask&, const Got&)>& done;
  std::vector<Seat> seats;

  Flow(Client& c, size_t together, const std::function<bool(Ask&)>& n,
       const std::function<void(const Ask&, const Got&)>& d)
      : client(c), next(n), done(d), seats(together) {
    out = together;
  }
  void take(Seat& seat) {
    seat.got = Got{};
    seat.ask = Ask{};
    if (!next(seat.ask)) {
      client.thread_->loop().retire(std::move(seat.flight));
      return client.thread_->loop().post([this] {
        const std::lock_guard lock(mutex);
        if (--out == 0) all_back.notify_all();
      });
    }
    client.thread_->loop().retire(std::move(seat.flight));
    seat.flight = std::make_unique<Flight>(client, seat.ask, seat.got, *this);
    seat.flight->start();
  }
  void back(Flight& flight) override {
    for (Seat& seat : seats) {
      if (seat.flight.get() != &flight) continue;
      done(seat.ask, seat.got);
      return take(seat);
    }
  }
};

void Client::flow(size_t together, const std::function<bool(Ask&)>& next,
                  const std::function<void(const Ask&, const Got&)>& done) {
  Flow flow(*this, together, next, done);
  thread_->loop().post([&flow] {
    for (Flow::Seat& seat : flow.seats) flow.take(seat);
  });
  flow.wait();
  thread_->run_and_wait([] {});
}

}  // namespace bw::cli
