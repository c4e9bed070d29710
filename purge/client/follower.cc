#include "purge/client/follower.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/http/client.h"
#include "core/text/json.h"
#include "purge/client/call.h"
#include "purge/client/log_stream.h"

namespace bw::purge {
namespace {

constexpr Duration kFirstWait = std::chrono::milliseconds(50);
constexpr Duration kLongestWait = std::chrono::seconds(2);
constexpr size_t kMaxNonces = 64;
constexpr size_t kMaxBeatAnswer = 64 * 1024;

}  // namespace

class LogFollower::State final : private http::ClientHandler {
 public:
  State(net::Loop& loop, Random& random, Executor* executor, Options options,
        FollowerEvents& events)
      : loop_(loop),
        random_(random),
        executor_(executor),
        options_(std::move(options)),
        events_(events),
        pool_(loop, {}),
        applied_(options_.applied),
        lines_(options_.applied),
        reconnect_(loop, [this] { connect(); }),
        silence_(loop, [this] { lost("no digest came for too long"); }),
        heartbeat_(loop,
                   [this] {
                     beat();
                     heartbeat_.arm(options_.heartbeat);
                   }),
        self_(std::make_shared<State*>(this)) {}

  ~State() override { *self_ = nullptr; }

  void start() {
    beat();
    heartbeat_.arm(options_.heartbeat);
  }

  void set_applied(const LogPoint& point) {
    applied_ = point;
    count_echoes();
    beat();
  }

  void set_report(NodeReport report) {
    options_.report = std::move(report);
    beat();
  }

  void leave(Task done) {
    leaving_ = true;
    reconnect_.cancel();
    silence_.cancel();
    heartbeat_.cancel();
    loop_.retire(std::move(stream_));
    loop_.retire(std::move(beat_));
    options_.report.state = "left";
    auto held = std::make_shared<Task>(std::move(done));
    send_beat(std::chrono::seconds(1), [held](const Result<Call::Answer>&) { (*held)(); });
  }

  const NodeReport& report() const { return options_.report; }
  const std::optional<LogPoint>& applied() const { return applied_; }
  const std::optional<LogPoint>& end() const { return told_end_; }
  bool connected() const { return stream_ != nullptr && status_ == 200; }
  bool caught_up() const {
    return connected() && end_of_this_ && applied_ && applied_->position >= end_of_this_->position;
  }
  std::optional<Duration> lag() const {
    if (!echo_) return std::nullopt;
    return loop_.now() - *echo_;
  }

 private:
  // --- the stream

  void connect() {
    if (leaving_) return;
    options_.link->resolve(loop_, executor_, [self = self_](Result<http::Target> target) {
      State* state = *self;
      if (state == nullptr || state->leaving_) return;
      if (!target.ok()) return state->lost(target.error().text);
      state->open(*target);
    });
  }

  void open(const http::Target& target) {
    lines_ = LogStream(lines_.end());
    end_of_this_.reset();
    status_ = 0;
    opened_ = loop_.now();
    std::string path =
        "/v1/log?follow=1&node=" + options_.report.name + "&instance=" + options_.report.instance;
    if (lines_.end()) {
      path += "&after=" + lines_.end()->position.text() + "&chain=" + to_hex(lines_.end()->chain);
    }
    http::ClientDeadlines deadlines;
    deadlines.first_byte = options_.silence;
    deadlines.between_bytes = Duration::zero();  // silence_ watches for digests
    stream_ =
        pool_.fetch(target, options_.link->head("GET", std::move(path)), false, deadlines, *this);
    silence_.arm(options_.silence);
  }

  void lost(std::string_view why) {
    if (!told_lost_) log::warning("purge log: " + std::string(why) + "; connecting again");
    told_lost_ = true;
    const bool was = connected();
    loop_.retire(std::move(stream_));
    silence_.cancel();
    end_of_this_.reset();
    wait_ = wait_ == Duration::zero() ? kFirstWait : std::min(wait_ * 2, kLongestWait);
    const auto jitter =
        static_cast<int64_t>(random_.below(static_cast<uint64_t>(wait_.count() / 4) + 1));
    reconnect_.arm(wait_ + Duration(jitter));
    if (was) events_.on_connected(false);
  }

  void on_head(const http::ResponseHead& head) override {
    if (stream_ == nullptr) return;
    status_ = head.status;
    if (head.status != 200) {
      if (head.status == 409) beat();  // the service has forgotten this node
      lost(head.status == 401 || head.status == 403 ? "the service refuses this node's token"
                                                    : "the service doesn't answer with its log");
      return;
    }
    events_.on_connected(true);
  }

  void on_body(std::string_view piece) override {
    if (stream_ == nullptr) return;
    lines_.feed(piece);
    const std::shared_ptr<State*> self = self_;
    for (;;) {
      Result<LogStream::Step> step = lines_.next();
      if (!step.ok()) return lost(step.error().text);
      switch (step->what) {
        case LogStream::Step::What::more:
          return;
        case LogStream::Step::What::records:
          silence_.arm(options_.silence);  // a long catch-up has no digests
          events_.on_records(step->records);
          break;
        case LogStream::Step::What::reset:
          events_.on_reset(step->point);
          if (*self != nullptr && step->digest.end.position.value != 0) on_digest(step->digest);
          break;
        case LogStream::Step::What::digest:
          on_digest(step->digest);
          break;
      }
      if (*self == nullptr || stream_ == nullptr) return;
    }
  }

  void on_digest(const Digest& digest) {
    told_lost_ = false;
    wait_ = Duration::zero();
    silence_.arm(options_.silence);
    // The first of a connection is an echo of the asking: the log's end after that.
    if (!end_of_this_) waiting_.push_back({digest.end.position, opened_});
    told_end_ = digest.end;
    end_of_this_ = digest.end;
    // The oldest are kept: a node that is always a little behind has echoes all the same.
    const std::optional<MonoTime> sent = sent_at(digest.nonce);
    if (sent && waiting_.size() < kMaxNonces) waiting_.push_back({digest.end.position, *sent});
    const std::shared_ptr<State*> self = self_;
    events_.on_digest(digest.end);
    if (*self != nullptr) count_echoes();
  }

  void on_end(const http::FieldList&, bool) override {
    if (stream_ != nullptr) lost("the service ended the stream");
  }

  void on_error(Error error) override {
    if (stream_ != nullptr) lost(error.text);
  }

  // --- echoes

  // When this nonce of ours was sent, asked once; those before it are forgotten.
  std::optional<MonoTime> sent_at(uint64_t nonce) {
    while (!sent_.empty() && sent_.front().first < nonce) sent_.pop_front();
    if (sent_.empty() || sent_.front().first != nonce) return std::nullopt;
    const MonoTime at = sent_.front().second;
    sent_.pop_front();
    return at;
  }

  // A nonce counts only when the digest it came back in was reached.
  void count_echoes() {
    bool counted = false;
    while (!waiting_.empty() && applied_ && applied_->position >= waiting_.front().reached) {
      echo_ = std::max(echo_.value_or(MonoTime{}), waiting_.front().sent);
      waiting_.pop_front();
      counted = true;
    }
    if (counted) events_.on_echo();
  }

  // --- beats

  void beat() {
    if (leaving_) return;
    if (beat_ != nullptr) {
      beat_again_ = true;
      return;
    }
    beat_again_ = false;
    send_beat(std::chrono::seconds(2), [this](const Result<Call::Answer>& answer) {
      loop_.retire(std::move(beat_));
      if (answer.ok() && answer->status == 409) {
        events_.on_name_taken();
        return;
      }
      const bool fine = answer.ok() && answer->status >= 200 && answer->status < 300;
      // The service gives its log to registered nodes only.
      if (fine && !std::exchange(registered_, true)) connect();
      if (!fine && answer.ok() && answer->status != refused_) {
        refused_ = answer->status;
        log::warning("purge registry: the service answers " + std::to_string(answer->status));
      }
      if (fine && beat_again_) beat();
    });
  }

  void send_beat(Duration timeout, Call::Done done) {
    const NodeReport& report = options_.report;
    text::Json body = text::Json::object();
    body.set("instance", report.instance).set("pop", report.pop).set("role", report.role);
    text::Json addresses = text::Json::array();
    for (const std::string& address : report.addresses) addresses.push(address);
    body.set("addresses", std::move(addresses));
    if (applied_) {
      body.set("applied", applied_->position.text()).set("chain", to_hex(applied_->chain));
    }
    body.set("load", report.load).set("state", report.state);
    body.set("lag_limit_ms", report.lag_limit_ms);
    text::Json sites = text::Json::object();
    for (const auto& [name, on_lag] : report.sites) sites.set(name, on_lag);
    body.set("sites", std::move(sites));
    body.set("version", report.version);
    const uint64_t nonce = ++last_nonce_;
    body.set("nonce", static_cast<int64_t>(nonce));
    sent_.emplace_back(nonce, loop_.now());
    if (sent_.size() > kMaxNonces) sent_.pop_front();
    http::RequestHead head = options_.link->head("PUT", "/v1/nodes/" + report.name);
    head.fields.add(http::FieldId::content_type, "application/json");
    beat_ = std::make_unique<Call>(loop_, pool_, kMaxBeatAnswer, std::move(done));
    beat_->start(options_.link, executor_, std::move(head), body.dump(), timeout);
  }

  net::Loop& loop_;
  Random& random_;
  Executor* const executor_;
  Options options_;
  FollowerEvents& events_;
  http::ClientPool pool_;

  std::optional<LogPoint> applied_;
  LogStream lines_;
  std::unique_ptr<http::ClientStream> stream_;
  int status_ = 0;
  std::optional<LogPoint> told_end_;
  std::optional<LogPoint> end_of_this_;  // told on this connection
  MonoTime opened_;                      // when this connection's log was asked for
  Duration wait_{};
  bool told_lost_ = false;
  net::Timer reconnect_;
  net::Timer silence_;

  net::Timer heartbeat_;
  std::unique_ptr<Call> beat_;
  bool beat_again_ = false;
  bool leaving_ = false;
  bool registered_ = false;
  int refused_ = 0;
  uint64_t last_nonce_ = 0;
  std::deque<std::pair<uint64_t, MonoTime>> sent_;
  struct Echo {
    Position reached;
    MonoTime sent;
  };
  std::deque<Echo> waiting_;
  std::optional<MonoTime> echo_;
  std::shared_ptr<State*> self_;
};

LogFollower::LogFollower(net::Loop& loop, Random& random, Executor* executor, Options options,
                         FollowerEvents& events)
    : state_(std::make_unique<State>(loop, random, executor, std::move(options), events)) {}

LogFollower::~LogFollower() = default;

void LogFollower::start() { state_->start(); }
void LogFollower::set_applied(const LogPoint& point) { state_->set_applied(point); }
void LogFollower::set_report(NodeReport report) { state_->set_report(std::move(report)); }
const NodeReport& LogFollower::report() const { return state_->report(); }
std::optional<LogPoint> LogFollower::applied() const { return state_->applied(); }
std::optional<LogPoint> LogFollower::end() const { return state_->end(); }
bool LogFollower::connected() const { return state_->connected(); }
bool LogFollower::caught_up() const { return state_->caught_up(); }
std::optional<Duration> LogFollower::lag() const { return state_->lag(); }
void LogFollower::leave(Task done) { state_->leave(std::move(done)); }

}  // namespace bw::purge
