// Feeds one HTTP/1 server connection with any bytes, cut anywhere, and handlers of many tempers.
//
// The first bytes of the input choose cuts, tempers and when the peer takes output or ends. What
// must hold: each handler hears exactly one last call, and output starts as a response does.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/http/server_connection.h"

using namespace bw;
using namespace bw::http;

namespace {

class FakeConnection final : public net::Connection {
 public:
  explicit FakeConnection(net::Loop& loop) : loop_(loop) {}

  void set_events(Events* events) override { events_ = events; }
  void write(Slice bytes) override {
    if (!closing_) out_ += bytes.view(), buffered_ += bytes.size();
    if (buffered_ > kHighWater) was_high_ = true;
  }
  void write_copy(std::string_view bytes) override { write(Slice::copy_of(bytes)); }
  size_t buffered() const override { return buffered_; }
  void finish_writing() override {}
  void close(bool) override { dead_ = true, buffered_ = 0; }
  void close_after_flush() override { closing_ = true; }
  void pause_reading() override { paused_ = true; }
  void resume_reading() override { paused_ = false; }
  bool is_tls() const override { return false; }
  const net::TlsInfo& tls() const override { return tls_; }
  const net::Address& peer() const override { return address_; }
  const net::Address& local() const override { return address_; }
  MonoTime last_read() const override { return loop_.now(); }
  MonoTime last_write_progress() const override { return loop_.now(); }

  void feed(std::string_view bytes) {
    kept_ += bytes;
    present();
  }
  void present() {
    if (dead_ || closing_ || paused_ || kept_.empty()) return;
    const std::string held = std::move(kept_);
    kept_.clear();
    const size_t consumed = events_->on_data(held);
    BW_CHECK(consumed <= held.size());
    if (!dead_ && !closing_) kept_ = held.substr(consumed);
  }
  void take(size_t bytes) {
    if (dead_ || buffered_ == 0) return;
    buffered_ -= std::min(buffered_, bytes);
    events_->on_progress();
    if (!dead_ && was_high_ && buffered_ <= kLowWater) was_high_ = false, events_->on_drained();
  }
  void end() {
    if (!dead_ && !closing_ && !paused_) events_->on_end();
  }
  bool dead() const { return dead_; }
  const std::string& out() const { return out_; }

 private:
  net::Loop& loop_;
  Events* events_ = nullptr;
  net::TlsInfo tls_;
  net::Address address_;
  std::string kept_;
  std::string out_;
  size_t buffered_ = 0;
  bool was_high_ = false;
  bool paused_ = false;
  bool closing_ = false;
  bool dead_ = false;
};

struct Tempers final : Service {
  explicit Tempers(SeededRandom& r) : random(r) {}

  struct Handler final : StreamHandler {
    Handler(Tempers& t, ServerStream& s, uint64_t how) : tempers(t), stream(&s), temper(how) {
      if (temper % 8 == 1) respond();
      if (temper % 8 == 2) stream->pause_body();
      if (temper % 8 == 3) stream->abort({}), stream = nullptr, over = true;
    }
    ~Handler() override { BW_CHECK(lasts == (over ? 0 : 1)); }
    void on_body(std::string_view) override {
      BW_CHECK(stream != nullptr);
      if (temper % 8 == 4) respond();
      if (temper % 8 == 5) stream->pause_body(), tempers.paused = this;
    }
    void on_body_end(const FieldList&) override {
      if (stream != nullptr) respond();
    }
    void on_abort(Error) override { last(); }
    void on_sent() override { last(); }
    void last() {
      BW_CHECK(!over && lasts == 0);
      ++lasts;
      stream = nullptr;
      if (tempers.paused == this) tempers.paused = nullptr;
    }
    void respond() {
      if (tempers.paused == this) tempers.paused = nullptr;
      ResponseHead head;
      head.status = temper % 3 == 0 ? 204 : 200;
      const std::string body(temper % 5 == 0 ? 300'000 : temper % 11, 'x');
      if (temper % 4 != 0) head.content_length = body.size() + (temper % 13 == 0 ? 1 : 0);
      stream->send_informational(103, {});
      stream->send_head(head);
      stream->send_body(Slice::copy_of(body));
      std::exchange(stream, nullptr)->finish();
    }
    Tempers& tempers;
    ServerStream* stream;
    const uint64_t temper;
    bool over = false;
    int lasts = 0;
  };

  std::unique_ptr<StreamHandler> on_request(ServerStream& stream) override {
    auto handler = std::make_unique<Handler>(*this, stream, random.next() >> 8);
    if (handler->temper % 8 == 2 && handler->stream != nullptr) paused = handler.get();
    return handler;
  }
  SeededRandom& random;
  Handler* paused = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  static ManualClock clock;
  static net::Loop loop(clock);
  SeededRandom random(data[0] | static_cast<uint64_t>(data[1]) << 8);
  std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  Tempers tempers(random);
  ServerCounters counters;
  bool closed = false;
  auto owned = std::make_unique<FakeConnection>(loop);
  FakeConnection* fake = owned.get();
  ServerLimits limits;
  limits.max_header_size = 512;
  limits.max_uri = 128;
  limits.max_body_size = 1000;
  auto connection = make_h1_server_connection({.loop = loop,
                                               .connection = std::move(owned),
                                               .peer = {},
                                               .service = tempers,
                                               .limits = limits,
                                               .counters = counters,
                                               .closed = [&closed] { closed = true; }});
  fake->set_events(connection.get());
  while (!closed && !bytes.empty()) {
    const size_t n = std::min<size_t>(bytes.size(), 1 + random.below(data[0] % 64 + 1));
    fake->feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
    loop.turn(false);
    if (tempers.paused != nullptr && random.below(3) == 0) {
      std::exchange(tempers.paused, nullptr)->stream->resume_body();
    }
    if (random.below(2) == 0) fake->take(random.below(400'000));
    if (!closed) fake->present();
    if (random.below(40) == 0) clock.advance(std::chrono::seconds(random.below(40)));
  }
  for (int i = 0; i < 4 && !closed; ++i) {
    if (tempers.paused != nullptr) std::exchange(tempers.paused, nullptr)->stream->resume_body();
    loop.turn(false);
    if (!closed) fake->present();
    fake->take(SIZE_MAX);
  }
  if (!closed && random.below(2) == 0) fake->end();
  if (!closed) fake->take(SIZE_MAX);
  if (!closed) connection->close();
  BW_CHECK(closed);
  const std::string& out = fake->out();
  BW_CHECK(out.empty() || out.starts_with("HTTP/1.1 "));
  loop.retire(std::move(connection));
  for (int i = 0; i < 3; ++i) loop.turn(false);
  return 0;
}
